package demo

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Each verdict shows what was looked at for it, and what was not.
func TestOutcome(t *testing.T) {
	const database = `"database":{"digest":"sha256:39fc05b6b3441585dc31e28e749cfb92f4214a4d1647d8a3a1d86aa55903d2f0","asOf":"2026-11-05T23:49:57Z","age":"600h"}`
	for _, tt := range []struct {
		name             string
		phase            v1alpha1.Phase
		message, summary string
		want             string
	}{
		{"it passed", v1alpha1.PhasePassed, "", `{"counts":{"rules":36},"packages":{"golang":3,"deb":2},"off":["signature"],` + database + `}`,
			"Passed: all 36 rules hold; looked at packages: deb 2, golang 3; database of 2026-11-05; not checked: signature"},
		{"it failed", v1alpha1.PhaseFailed, "", `{"packages":{"deb":2},"findings":[{"rule":"non-root"},{"rule":"CVE-2021-38561"}],` + database + `}`,
			"Failed: non-root, CVE-2021-38561; looked at packages: deb 2; database of 2026-11-05"},
		{"it has a message", v1alpha1.PhaseFailed, "it runs as root", `{"packages":{"deb":2},"findings":[{"rule":"non-root"}],` + database + `}`,
			"Failed: it runs as root; looked at packages: deb 2; database of 2026-11-05"},
		{"nobody scanned", v1alpha1.PhasePassed, "", `{"counts":{"rules":20},"off":["scan","signature"]}`,
			"Passed: all 20 rules hold; looked at packages: none; not checked: scan, signature"},
		{"an error", v1alpha1.PhaseError, "DatabaseTooOld: it is", "", "Error: DatabaseTooOld: it is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &v1alpha1.ImageVerification{Status: v1alpha1.ImageVerificationStatus{Phase: tt.phase, Message: tt.message,
				Runs: []v1alpha1.RunStatus{{Summary: tt.summary}}}}
			if diff := cmp.Diff(tt.want, outcome(e)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}
