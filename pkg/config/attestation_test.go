package config_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/config"
)

// Only what the list names exactly is signed; what cannot be read keeps what was in force, and
// a list that is gone names nothing.
func TestAttested(t *testing.T) {
	store := config.NewStore("revet-system", nil)
	set := func(document string) {
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.AttestationConfigMap}}
		o.Data = map[string]string{config.AttestedKey: document}
		store.Handler().OnAdd(o, false)
	}
	if store.Attested().Has("verification", "all") {
		t.Error("without a list a trigger is trusted")
	}
	set("- {namespace: verification, trigger: all}")
	for trigger, want := range map[[2]string]bool{
		{"verification", "all"}: true, {"verification", "other"}: false, {"team", "all"}: false, {"", ""}: false, {"verification", ""}: false,
	} {
		if got := store.Attested().Has(trigger[0], trigger[1]); got != want {
			t.Errorf("%v is trusted: %t", trigger, got)
		}
	}
	for _, broken := range []string{
		`- {namespace: "*", trigger: all}`, `- {namespace: verification, trigger: "*"}`, `- {namespace: verification}`,
		`- verification/all`, `- {namespace: verification, trigger: all, key: x}`, `x: y`,
	} {
		set(broken)
		if len(store.Problems()) != 1 || !store.Attested().Has("verification", "all") {
			t.Errorf("%s: problems %v, in force %v", broken, store.Problems(), store.Attested())
		}
	}
	set("[]")
	if len(store.Problems()) != 0 || store.Attested().Has("verification", "all") {
		t.Errorf("after it was emptied: %v, %v", store.Problems(), store.Attested())
	}
	if _, err := config.ParseAttested("- {namespace: Team, trigger: all}"); err == nil || !strings.Contains(err.Error(), "entry 1") {
		t.Errorf("error is %v", err)
	}
}

// Two lists have one digest if and only if they name the same triggers.
func TestDigestOfAttested(t *testing.T) {
	digest := func(document string) string {
		t.Helper()
		list, err := config.AttestedIn(map[string]string{config.AttestedKey: document, "_note": "for people"})
		if err != nil {
			t.Fatal(err)
		}
		return list.Digest()
	}
	one := digest("[{namespace: a, trigger: x}, {namespace: b, trigger: y}, {namespace: b, trigger: z}]")
	for range 10 {
		if got := digest("[{namespace: b, trigger: z}, {namespace: b, trigger: y}, {namespace: a, trigger: x}]"); got != one {
			t.Fatalf("in another order it is %s, and not %s", got, one)
		}
	}
	for _, other := range []string{"[]", "[{namespace: a, trigger: x}, {namespace: b, trigger: y}]", "[{namespace: a, trigger: y}, {namespace: b, trigger: x}, {namespace: b, trigger: z}]"} {
		if digest(other) == one {
			t.Errorf("%s has the same digest", other)
		}
	}
	if _, err := config.AttestedIn(map[string]string{"trigger.yaml": "[]"}); err == nil {
		t.Error("a misspelt key is a list")
	}
}
