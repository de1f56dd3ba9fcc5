package triggers_test

import (
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
	"github.com/revet-dev/revet/triggers"
)

// What programs take for the defaults is what the manifests install, and can be read.
func TestDefaults(t *testing.T) {
	rules, err := triggers.Rules()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := validate.Parse(rules); err != nil {
		t.Errorf("rules: %v", err)
	}
	delivered, err := triggers.Policy()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Parse(delivered, nil); err != nil {
		t.Errorf("policy: %v", err)
	}
	if len(rules) == 0 || len(delivered) == 0 {
		t.Errorf("the defaults have %d and %d bytes", len(rules), len(delivered))
	}
}
