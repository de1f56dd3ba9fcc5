package integration

import (
	"fmt"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/config"
)

// The attestor reports its keys under its own account, and commands show what becomes of a
// verdict.
func TestTheAttestorReports(t *testing.T) {
	ownCluster(t)
	a := newAttested(t)
	a.program(buildPrograms(t, "attestor")).start(t, "")
	a.settled(1)
	record := a.recorded()[0]
	want := config.Attested{{Namespace: a.ledger, Trigger: "vet"}: true}.Digest()
	eventually(t, "the attestor reports the key that signed", func() error {
		var lease coordinationv1.Lease
		if err := a.admin.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: attestation.ReportLease}, &lease); err != nil {
			return err
		}
		report, err := attestation.ParseReport(lease.Annotations[attestation.ReportAnnotation])
		if err != nil {
			return err
		}
		if len(report.Keys) != 1 || report.Signs != record.Key || report.List != want || *lease.Spec.HolderIdentity != "attestor" {
			return fmt.Errorf("reported is %+v", report)
		}
		return nil
	})
	shows := func(says []string, command ...string) {
		t.Helper()
		r := revet(t, append(command, "-n", a.ledger, "--kubeconfig", clusterOf(t).Kubeconfig())...)
		for _, text := range says {
			if !strings.Contains(r.out, text) {
				t.Errorf("kubectl revet %s does not show %q:\n%s%s", command[0], text, r.out, r.errOut)
			}
		}
	}
	shows([]string{"Published "}, "get")
	shows([]string{"Published    " + record.Bundle, record.Key}, "explain", a.entry.Name)
	shows([]string{"ok       attestor leader   led by attestor", record.Key + " signs", "ok       attestation list  1 triggers", "ok       attestations      1 of 1"}, "doctor")

	a.operator(config.AttestationConfigMap, config.AttestedKey, "[]")
	a.settled(0)
	shows([]string{"NotTrusted"}, "get")
	shows([]string{"Not signed   NotTrusted", "{namespace: " + a.ledger + ", trigger: vet}"}, "explain", a.entry.Name)
	shows([]string{"problem  attestations"}, "doctor")
}
