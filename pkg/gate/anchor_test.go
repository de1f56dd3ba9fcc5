package gate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAnchored(t *testing.T) {
	home := metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "revet-system", UID: "new"}
	earlier, other := home, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "revet-system", UID: "x"}
	earlier.UID = "old"
	type owners = []metav1.OwnerReference
	for name, test := range map[string]struct{ is, want owners }{
		"none":                        {nil, owners{home}},
		"the namespace":               {owners{home}, owners{home}},
		"an earlier namespace":        {owners{earlier}, owners{home}},
		"another":                     {owners{other}, owners{other, home}},
		"another, and an earlier one": {owners{earlier, other}, owners{other, home}},
	} {
		if diff := cmp.Diff(test.want, Anchored(test.is, "revet-system", "new")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
