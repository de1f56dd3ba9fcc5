package runrequest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/runrequest"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func keys(t *testing.T, names ...string) runrequest.Keys {
	t.Helper()
	data := map[string][]byte{}
	for _, name := range names {
		data[name] = bytes.Repeat([]byte(name[:1]), runrequest.MinKey)
	}
	k, err := runrequest.ParseKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t *testing.T, k runrequest.Keys, at time.Time, namespace, body string) string {
	t.Helper()
	value, err := k.Sign(at, namespace, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func check(k runrequest.Keys, values []string, now time.Time, namespace, body string) runrequest.Reason {
	s, err := runrequest.ParseSignature(values)
	if err == nil {
		err = k.Verify(s, now, namespace, []byte(body))
	}
	var refusal *runrequest.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Reason
	default:
		return runrequest.Reason(err.Error())
	}
}

// Property: a request counts if it is what the controller signed, for this namespace, just now.
// Whatever is changed about it makes it count no longer.
func TestOnlyWhatWasSignedCounts(t *testing.T) {
	k := keys(t, "2026-11-30")
	good := sign(t, k, noon, "team-a", `{"run":"a"}`)
	beforeMAC, _, _ := strings.Cut(good, "mac=")
	other := keys(t, "other")
	for _, test := range []struct {
		name            string
		values          []string
		now             time.Time
		namespace, body string
		want            runrequest.Reason
	}{
		{"as it was signed", []string{good}, noon, "team-a", `{"run":"a"}`, ""},
		{"nearly five minutes later", []string{good}, noon.Add(runrequest.MaxAge), "team-a", `{"run":"a"}`, ""},
		{"by a clock that is ahead", []string{good}, noon.Add(-runrequest.MaxAge), "team-a", `{"run":"a"}`, ""},
		{"later", []string{good}, noon.Add(runrequest.MaxAge + time.Second), "team-a", `{"run":"a"}`, runrequest.Stale},
		{"much too early", []string{good}, noon.Add(-runrequest.MaxAge - time.Second), "team-a", `{"run":"a"}`, runrequest.Stale},
		{"without a header", nil, noon, "team-a", `{"run":"a"}`, runrequest.Unsigned},
		{"with an empty header", []string{""}, noon, "team-a", `{"run":"a"}`, runrequest.BadSignature},
		{"with two headers", []string{good, good}, noon, "team-a", `{"run":"a"}`, runrequest.BadSignature},
		{"another version", []string{"v2" + good[2:]}, noon, "team-a", `{"run":"a"}`, runrequest.BadSignature},
		{"a MAC that is cut", []string{good[:len(good)-1]}, noon, "team-a", `{"run":"a"}`, runrequest.BadSignature},
		{"no MAC", []string{beforeMAC + "mac="}, noon, "team-a", `{"run":"a"}`, runrequest.BadSignature},
		{"another body", []string{good}, noon, "team-a", `{"run":"b"}`, runrequest.WrongSignature},
		{"a body with one space more", []string{good}, noon, "team-a", `{"run": "a"}`, runrequest.WrongSignature},
		{"another namespace's listener", []string{good}, noon, "team-b", `{"run":"a"}`, runrequest.WrongSignature},
		{"a listener that says no namespace", []string{good}, noon, "", `{"run":"a"}`, runrequest.WrongSignature},
		{"a later time under the same MAC", []string{strings.Replace(good, "time=1796", "time=1797", 1)}, noon, "team-a", `{"run":"a"}`, runrequest.WrongSignature},
		{"a key that nobody has", []string{sign(t, other, noon, "team-a", `{"run":"a"}`)}, noon, "team-a", `{"run":"a"}`, runrequest.UnknownKey},
		{"another key under this one's name", []string{strings.Replace(sign(t, other, noon, "team-a", `{"run":"a"}`), "key=other", "key=2026-11-30", 1)},
			noon, "team-a", `{"run":"a"}`, runrequest.WrongSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := check(k, test.values, test.now, test.namespace, test.body); got != test.want {
				t.Errorf("refused as %q, want %q", got, test.want)
			}
		})
	}
	if got := check(runrequest.Keys{}, []string{good}, noon, "team-a", `{"run":"a"}`); got != runrequest.UnknownKey {
		t.Errorf("without any key: refused as %q", got)
	}
}

// The last name signs, and all of them count, so that a key can be added before the older one is
// taken away.
func TestKeysRotate(t *testing.T) {
	old, both, fresh := keys(t, "2026-11-30T17-00-00"), keys(t, "2026-11-30T17-00-00", "2027-01-01"), keys(t, "2027-01-01")
	for _, signed := range []string{sign(t, old, noon, "a", "{}"), sign(t, both, noon, "a", "{}"), sign(t, fresh, noon, "a", "{}")} {
		if got := check(both, []string{signed}, noon, "a", "{}"); got != "" {
			t.Errorf("%s is refused as %q", signed, got)
		}
	}
	if both.Newest() != "2027-01-01" || check(old, []string{sign(t, both, noon, "a", "{}")}, noon, "a", "{}") != runrequest.UnknownKey {
		t.Errorf("%q signs, want the last name", both.Newest())
	}
	if got := check(fresh, []string{sign(t, old, noon, "a", "{}")}, noon, "a", "{}"); got != runrequest.UnknownKey {
		t.Errorf("a key that was taken away: %q", got)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	if _, err := runrequest.ParseKeys(map[string][]byte{"a": bytes.Repeat([]byte("a"), runrequest.MinKey), "b": []byte("short")}); err == nil || !strings.Contains(err.Error(), `key "b" has 5 bytes`) {
		t.Errorf("error %v, want one that names the key", err)
	}
	none, err := runrequest.ParseKeys(nil)
	if err != nil || !none.Empty() {
		t.Errorf("no data: %v, %v", none, err)
	}
	if _, err := none.Sign(noon, "a", nil); err == nil {
		t.Error("it signs without a key")
	}
}

const (
	hex  = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"
	body = `{"run":"app-9c56cc51b374c3ba189210d5b6d4bf57","entryUID":"0f4e3a52-3c1f-4a1c-9d6e-2f0d6c1f7b11","cause":"Push",` +
		`"image":{"reference":"r.example.com/a/app@sha256:` + hex + `","digest":"sha256:` + hex + `","labels":{"a":"\" $(x)"}},` +
		`"sandbox":{"runtimeClassName":"kata","podField":"runtimeClassName","podValue":"kata","nodeLabel":"example.com/pool","nodeLabelValue":"scan",` +
		`"tolerations":[{"key":"pool","operator":"Equal","value":"scan","effect":"NoSchedule"}],"runTimeout":"30m0s"}}`
)

// Property: what the controller writes passes, and podField takes its two values.
func TestOnlyTheFormOfTheControllerPasses(t *testing.T) {
	around := `"podField":"schedulerName","podValue":"default-scheduler",`
	class := `"runtimeClassName":"kata","podField":"runtimeClassName","podValue":"kata",`
	for _, test := range []struct {
		name, old, replaced string
		want                string // in the refusal; empty passes
	}{
		{"in the class", "", "", ""},
		{"around the class", class, around, ""},
		{"without a class", class, "", ""},
		{"a node label without a value", `"nodeLabelValue":"scan",`, "", ""},
		{"another scheduler", class, `"podField":"schedulerName","podValue":"mine",`, "sandbox.podField"},
		{"no scheduler", class, `"podField":"schedulerName",`, "sandbox.podField"},
		{"around the class, with a class", `"podField":"runtimeClassName","podValue":"kata"`, `"podField":"schedulerName","podValue":"default-scheduler"`, "sandbox.podField"},
		{"another field", class, `"podField":"priorityClassName","podValue":"system-node-critical",`, "sandbox.podField"},
		{"the node's network", class, `"podField":"hostNetwork","podValue":"true",`, "sandbox.podField"},
		{"an empty field", class, `"podField":"","podValue":"",`, "sandbox.podField"},
		{"a value without a field", class, `"podValue":"kata",`, "sandbox.podField"},
		{"another class than the one asked for", `"podValue":"kata"`, `"podValue":"runc"`, "sandbox.podField"},
		{"a class that is none", `"kata"`, `"Ka ta"`, "runtimeClassName"},
		{"a run that is no name", `"app-9c`, `"App/9c`, "run "},
		{"a UID that is none", `"0f4e3a52-`, `"0f4e3a5-`, "entryUID"},
		{"a tag in place of a digest", "@sha256:" + hex, ":latest", "image.reference"},
		{"another digest than the reference's", `"digest":"sha256:9`, `"digest":"sha256:8`, "image.digest"},
		{"a label that is none", "example.com/pool", "example.com/a/b", "nodeLabel"},
		{"a label's value that is none", `"nodeLabelValue":"scan"`, `"nodeLabelValue":"a b"`, "nodeLabel"},
		{"a value without a label", `"nodeLabel":"example.com/pool",`, "", "nodeLabelValue"},
		{"an operator that is none", `"Equal"`, `"In"`, "tolerations"},
		{"an effect that is none", `"NoSchedule"`, `"Never"`, "tolerations"},
		{"a time that is none", `"30m0s"`, `"soon"`, "runTimeout"},
		{"a time before the start", `"30m0s"`, `"-1m"`, "runTimeout"},
		{"no JSON", body, "[]", "not a request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.ReplaceAll(body, test.old, test.replaced)
			if test.old == "" {
				changed = body
			} else if changed == body {
				t.Fatalf("%s is not in the body", test.old)
			}
			err := runrequest.CheckForm([]byte(changed))
			var refusal *runrequest.Refusal
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (!errors.As(err, &refusal) || refusal.Reason != runrequest.WrongForm || !strings.Contains(refusal.Message, test.want)):
				t.Errorf("error %v, want one of the form that names %q", err, test.want)
			}
		})
	}
}

// Nothing that a stranger sends is more than a refusal.
func FuzzStrangers(f *testing.F) {
	f.Add("v1 key=a time=1 mac="+strings.Repeat("0", 64), []byte(body))
	f.Add("", []byte(`{"sandbox":{"tolerations":[null]}}`))
	k, err := runrequest.ParseKeys(map[string][]byte{"a": bytes.Repeat([]byte("x"), 32)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if s, err := runrequest.ParseSignature([]string{header}); err == nil {
			if err := k.Verify(s, noon, "team-a", body); err == nil {
				t.Errorf("%q passes", header)
			}
		}
		_ = runrequest.CheckForm(body)
	})
}
