package doctor

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/config"
)

const attestorName = "attestor"

// attestor checks what signed verdicts need. If nobody asks for any, nothing of it has to be
// there: neither the triggers that were examined, nor the operator's list.
func (d *doctor) attestor(ctx context.Context, triggers []v1alpha1.ImageTrigger) []Finding {
	asked := d.signing.ListErr == nil && len(d.signing.List) > 0
	for i := range triggers {
		asked = asked || triggers[i].Spec.Attest != nil
	}
	listed := d.listed(ctx)
	if !asked && d.signing.ListErr == nil && !d.runs(ctx) {
		return []Finding{ok(attestorName, "it does not run, and nobody asks for signed verdicts")}
	}
	election := election{"attestor leader", attestorName, "nothing is signed, and nothing is removed", "their share of verdicts is not signed", LevelProblem}
	if !asked {
		election.level = LevelWarning
	}
	findings := []Finding{d.program(ctx, attestorName), d.leaders(ctx, election)}
	return append(append(findings, d.keys(asked)), listed...)
}

// runs reports whether the attestor is meant to run, or that is not known.
func (d *doctor) runs(ctx context.Context) bool {
	var deployment appsv1.Deployment
	err := d.Get(ctx, client.ObjectKey{Namespace: d.system, Name: attestorName}, &deployment)
	if err != nil {
		return client.IgnoreNotFound(err) != nil
	}
	return deployment.Spec.Replicas == nil || *deployment.Spec.Replicas > 0
}

// keys checks that the attestor has a key that signs, by what it reports.
func (d *doctor) keys(asked bool) Finding {
	const check = "attestation keys"
	w := d.signing
	s := w.Signer()
	switch {
	case s.Reason == attested.NotKnown:
		return unknown(check, s.Cure, "%s", s.Message)
	case s.Reason == attested.NoAttestor && w.Report == nil && !asked:
		return warn(check, s.Cure, "%s, and nobody asks for signed verdicts", s.Message)
	case s.Reason == attested.NoAttestor:
		return unknown(check, s.Cure, "%s", s.Message)
	case len(w.Report.Problems) > 0:
		return problem(check, "correct what the message names", "the attestor %s reports: %s", w.By, strings.Join(w.Report.Problems, "; "))
	case !s.IsZero() && !asked:
		return ok(check, "%s, and nobody asks for signed verdicts", s.Message)
	case !s.IsZero():
		return problem(check, s.Cure, "%s, so no verdict is signed", s.Message)
	default:
		return ok(check, "%s signs; in force since %s: %s", w.Report.Signs, w.Report.Since.UTC().Format(command.SecondLayout), strings.Join(w.Report.Keys, ", "))
	}
}

// listed checks the operator's list: it is valid, the attestor has read it, and each trigger on
// it exists. Whoever may create one that does not would have his verdicts signed.
func (d *doctor) listed(ctx context.Context) []Finding {
	const check = "attestation list"
	w := d.signing
	edit := fmt.Sprintf("kubectl edit configmap %s -n %s", config.AttestationConfigMap, d.system)
	switch {
	case w.Invalid:
		return []Finding{problem(check, edit, "%v", w.ListErr)}
	case w.ListErr != nil:
		return []Finding{unknown(check, readCure(w.ListErr), "%v", w.ListErr)}
	}
	var findings []Finding
	silent := 0
	for _, t := range w.List.Triggers() {
		found, err := d.Trigger(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Trigger})
		switch what := fmt.Sprintf("ImageTrigger %s in namespace %s", t.Trigger, t.Namespace); {
		case err != nil:
			findings = append(findings, notRead(check, what+", which is listed", err))
		case found == nil:
			findings = append(findings, warn(check, "take it out of the list, or create it: "+edit,
				"there is no %s, which is listed: whoever may create it has its verdicts signed", what))
		case found.Spec.Attest == nil:
			silent++
		}
	}
	if w.Report != nil && !w.Stale() && w.Report.List != w.List.Digest() {
		findings = append(findings, warn(check, "wait a minute; if it stays so: "+d.attestorLogs(), "the attestor has another list in force, of %d triggers", w.Report.Triggers))
	}
	if len(findings) > 0 {
		return findings
	}
	text := fmt.Sprintf("%d triggers are listed", len(w.List))
	if silent > 0 {
		text += fmt.Sprintf(", of which %d do not ask for signed verdicts", silent)
	}
	return []Finding{ok(check, "%s", text)}
}

func (d *doctor) attestorLogs() string {
	return fmt.Sprintf("kubectl logs -n %s deployment/attestor", d.system)
}

func readCure(err error) string {
	return notRead("", "", err).Cure
}
