package attestation

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// signed returns the bundle of an entry that passed, and the key that verifies it.
func signed(t testing.TB, material []byte) (Bundle, sigstore.Key) {
	t.Helper()
	s, err := Make(passedEntry(), by)
	if err != nil {
		t.Fatal(err)
	}
	k := currentOf(t, ringOf(t, map[string][]byte{"2026-01-01.pem": material}))
	b, err := Sign(t.Context(), s, k)
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	return b, public
}

// restated signs a statement after texts in it were replaced.
func restated(t testing.TB, material []byte, edits ...string) Bundle {
	t.Helper()
	s, err := Make(passedEntry(), by)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(edits...).Replace(string(s.Payload))
	if len(edits) > 0 && changed == string(s.Payload) {
		t.Fatalf("%q changes nothing", edits)
	}
	s.Payload = []byte(changed)
	b, err := Sign(t.Context(), s, currentOf(t, ringOf(t, map[string][]byte{"2026-01-01.pem": material})))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A signed verdict verifies for each image that was looked at, and for no other, no other
// repository, no other key, and not beyond what the consumer asks.
func TestVerify(t *testing.T) {
	for kind, material := range map[string][]byte{"ECDSA": newECDSA(t), "Ed25519": newEd25519(t)} {
		bundle, key := signed(t, material)
		_, stranger := signed(t, newECDSA(t))
		elsewhere, err := image.ParseReference("mirror.example.com/team/app@" + digestOf("a"))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name   string
			change func(*Expectation)
			want   string
		}{
			{"the index", func(*Expectation) {}, ""},
			{"an image that was looked at", func(w *Expectation) { w.Image = reference(t, digestOf("b")) }, ""},
			{"one that was not", func(w *Expectation) { w.Image = reference(t, digestOf("d")) }, "about something other"},
			{"no image", func(w *Expectation) { w.Image = image.Reference{} }, "about something other"},
			{"the same digest elsewhere", func(w *Expectation) { w.Image = elsewhere }, "mirror.example.com"},
			{"another key", func(w *Expectation) { w.Keys = []sigstore.Key{stranger} }, sigstore.ErrUntrusted.Error()},
			{"no key", func(w *Expectation) { w.Keys = nil }, sigstore.ErrUntrusted.Error()},
			{"two keys", func(w *Expectation) { w.Keys = append([]sigstore.Key{stranger}, w.Keys...) }, ""},
			{"young enough", func(w *Expectation) { w.MaxAge = 24 * time.Hour }, ""},
			{"too old", func(w *Expectation) { w.MaxAge = 24*time.Hour - time.Second }, "it is 24h0m0s old"},
			{"of tomorrow", func(w *Expectation) { w.Now = verdictAt.Add(-time.Hour) }, "has not come"},
			{"its cluster and policy", func(w *Expectation) {
				w.Cluster, w.Policy = "prod-1", "revet://prod-1/namespaces/verification/imagetriggers/all"
			}, ""},
			{"another cluster", func(w *Expectation) { w.Cluster = "prod-2" }, "for the cluster"},
			{"another policy", func(w *Expectation) { w.Policy = "revet://prod-1/namespaces/team/imagetriggers/all" }, "follows the policy"},
			{"levels that it claims", func(w *Expectation) { w.Levels = []string{"REVET_SANDBOXED", "REVET_CHECK_VULNERABILITIES"} }, ""},
			{"a level that it does not claim", func(w *Expectation) { w.Levels = []string{"REVET_CHECK_SIGNATURE"} }, "does not claim"},
		} {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				want := Expectation{Keys: []sigstore.Key{key}, Image: reference(t, digestOf("a")), Now: now}
				tt.change(&want)
				got, err := Verify(bundle.Content, want)
				switch {
				case tt.want == "" && (err != nil || got.Key != key.Name || got.Summary.Result != passed):
					t.Errorf("verified %+v, %v", got, err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || got.Key != ""):
					t.Errorf("verified %+v, %v; want %q", got, err, tt.want)
				}
			})
		}
	}
}

// What a trusted key signed is read by what it says: a result that is not PASSED outweighs all.
func TestVerifyReadsWhatWasSigned(t *testing.T) {
	material := newECDSA(t)
	_, key := signed(t, material)
	want := Expectation{Keys: []sigstore.Key{key}, Image: reference(t, digestOf("a")), Now: now}
	for _, tt := range []struct {
		name  string
		edits []string
		is    error
		says  string
	}{
		{"a fail", []string{`"PASSED"`, `"FAILED"`}, ErrResult, "FAILED"},
		{"nothing", []string{`"verificationResult":"PASSED",`, ""}, ErrResult, `""`},
		{"no time", []string{`"timeVerified":"2026-11-29T10:00:00Z",`, ""}, nil, "when"},
		{"another predicate", []string{PredicateType, "https://slsa.dev/provenance/v1"}, ErrOther, ""},
		{"another version of in-toto", []string{"Statement/v1", "Statement/v9"}, nil, "Statement/v9"},
		{"no statement", []string{`{"_type"`, `["_type"`}, nil, "cannot be read"},
		{"no summary", []string{`"predicate":{`, `"predicate":5,"x":{`}, nil, "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Verify(restated(t, material, tt.edits...).Content, want)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) || got.Key != "" {
				t.Errorf("verified %+v, %v; want %v and %q", got, err, tt.is, tt.says)
			}
		})
	}
}

// What is no bundle of a summary is somebody else's.
func TestVerifyPassesOver(t *testing.T) {
	bundle, key := signed(t, newECDSA(t))
	want := Expectation{Keys: []sigstore.Key{key}, Image: reference(t, digestOf("a")), Now: now}
	good := string(bundle.Content)
	for name, raw := range map[string]string{
		"nothing": "", "no JSON": "{", "no envelope": `{"mediaType":"` + sigstore.BundleType + `"}`,
		"another version":      strings.Replace(good, "v0.3", "v0.9", 1),
		"another payload":      strings.Replace(good, "in-toto", "other", 1),
		"no base64":            strings.Replace(good, `"payload":"`, `"payload":"%`, 1),
		"a very large payload": strings.Replace(good, `"payload":"`, `"payload":"`+strings.Repeat("A", maxPayload), 1),
	} {
		if got, err := Verify([]byte(raw), want); !errors.Is(err, ErrOther) || got.Key != "" {
			t.Errorf("%s: verified %+v, %v", name, got, err)
		}
	}
}

// What cosign v3 attested by a key that is trusted is no verification summary.
func TestVerifyCosignsAttestation(t *testing.T) {
	read := func(name string) []byte {
		raw, err := os.ReadFile("../pipeline/signature/testdata/cosign/recorded/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	keys, err := sigstore.ParseKeys("trusted", read("trusted.pub"))
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Blobs map[string]string }
	if err := json.Unmarshal(read("v3-attest.json"), &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Blobs) != 2 {
		t.Fatalf("there are %d blobs", len(recorded.Blobs))
	}
	for _, blob := range recorded.Blobs {
		if got, err := Verify([]byte(blob), Expectation{Keys: keys, Image: reference(t, digestOf("a")), Now: now}); !errors.Is(err, ErrOther) {
			t.Errorf("%.60s: verified %+v, %v", blob, got, err)
		}
	}
}

// One byte that differs anywhere in what was signed is enough.
func TestTamperedStatement(t *testing.T) {
	for kind, material := range map[string][]byte{"ECDSA": newECDSA(t), "Ed25519": newEd25519(t)} {
		bundle, key := signed(t, material)
		payload, envelope, err := open(bundle.Content)
		if err != nil {
			t.Fatal(err)
		}
		for i := range payload {
			bad := bytes.Clone(payload)
			bad[i] ^= 1
			if by, err := envelope.Signer([]sigstore.Key{key}, bad); err == nil {
				t.Fatalf("%s: with byte %d changed it is signed by %q", kind, i, by)
			}
		}
	}
}

// A consumer is told what nobody checked.
func TestNotChecked(t *testing.T) {
	s, err := Make(passedEntry(), by)
	if err != nil {
		t.Fatal(err)
	}
	summary := func(edits ...string) Summary {
		var all struct{ Predicate Summary }
		if err := json.Unmarshal([]byte(strings.NewReplacer(edits...).Replace(string(s.Payload))), &all); err != nil {
			t.Fatal(err)
		}
		return all.Predicate
	}
	asks := Expectation{MaxAge: time.Hour, Cluster: "prod-1", Policy: "p"}
	always := asks.NotChecked(Summary{})[:2]
	with := func(more ...string) []string { return append(append([]string{}, always...), more...) }
	off := `The check "signature" was off.`
	unselected := "1 images of the index were not looked at."
	for _, tt := range []struct {
		name string
		asks Expectation
		s    Summary
		want []string
	}{
		{"all that can be asked", asks, summary(), with(off, unselected)},
		{"nothing asked", Expectation{}, summary(), with(
			"Its age was not bounded: give --max-age.", "Any cluster may have verified it: give --cluster.", "Any policy may have decided: give --policy.", off, unselected)},
		{"a run outside a sandbox", asks, summary(`"REVET_SANDBOXED"`, `"OTHER"`), with(off, unselected, "The run did not execute in a sandbox.")},
		{"a summary that says nothing", asks, Summary{}, with(
			"It does not say which checks looked at the image.", "It does not list every platform that was looked at.",
			"It names no vulnerability database.", "The run did not execute in a sandbox.")},
		{"a database without a date", asks, summary(`,"asOf":"2026-11-29T07:00:00Z"`, ""), with(off, unselected, "It does not say how old the vulnerability database was.")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.asks.NotChecked(tt.s)); diff != "" {
				t.Errorf("not checked (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever a bundle holds, it verifies only with the statement that the key signed.
func FuzzVerify(f *testing.F) {
	bundle, key := signed(f, newECDSA(f))
	want := Expectation{Keys: []sigstore.Key{key}, Image: reference(f, digestOf("a")), Now: now}
	payload, _, err := open(bundle.Content)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle.Content)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := Verify(raw, want); err != nil {
			return
		}
		if got, _, err := open(raw); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%s verifies", raw)
		}
	})
}
