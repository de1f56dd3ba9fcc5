package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Attested are the triggers whose verdicts the operator lets be signed. It is immutable; the
// zero value has none. There are no patterns: whoever may create a namespace or a trigger must
// not get a signature by the name of it.
type Attested map[v1alpha1.TrustedTrigger]bool

// Has reports whether a trigger is one of them.
func (a Attested) Has(namespace, trigger string) bool {
	return a[v1alpha1.TrustedTrigger{Namespace: namespace, Trigger: trigger}]
}

// ParseAttested reads the list strictly.
func ParseAttested(document string) (Attested, error) {
	var list []v1alpha1.TrustedTrigger
	if err := yaml.UnmarshalStrict([]byte(document), &list); err != nil {
		return nil, fmt.Errorf("expected a list of {namespace, trigger}: %w", err)
	}
	all := Attested{}
	for i, t := range list {
		if !namespacePattern.MatchString(t.Namespace) || !triggerPattern.MatchString(t.Trigger) {
			return nil, fmt.Errorf("entry %d, {namespace: %q, trigger: %q}, does not name an ImageTrigger; there are no patterns", i+1, t.Namespace, t.Trigger)
		}
		all[t] = true
	}
	return all, nil
}

// Digest identifies the list by the first 12 hexadecimal digits of a hash of its content; an
// empty list has one, too.
func (a Attested) Digest() string {
	h := sha256.New()
	for _, t := range a.Triggers() {
		fmt.Fprintf(h, "%s/%s\n", t.Namespace, t.Trigger)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Triggers returns the list by namespace and name.
func (a Attested) Triggers() []v1alpha1.TrustedTrigger {
	return slices.SortedFunc(maps.Keys(a), func(x, y v1alpha1.TrustedTrigger) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Trigger, y.Trigger))
	})
}

// AttestedIn reads the list in the data of the ConfigMap config-attestation, as strictly as the
// attestor does.
func AttestedIn(data map[string]string) (Attested, error) {
	document, err := document(AttestationConfigMap, data, AttestedKey)
	if err != nil {
		return nil, err
	}
	return ParseAttested(document)
}
