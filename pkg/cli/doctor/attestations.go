package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// unsigned are entries that have no statement, or not the one they should have, for one reason.
type unsigned struct {
	level         Level
	reason        string
	message, cure string
	count         int
	// newest is the entry with the newest push.
	newest *v1alpha1.ImageVerification
}

// attestations checks that each pass of a trigger that asks for it is signed and published, and
// that what no longer holds is removed.
func (d *doctor) attestations(t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	const check = "attestations"
	var found groups
	published := 0
	for i := range entries {
		e := &entries[i]
		published += d.records(&found, e)
		d.missing(&found, e, attested.Trigger{ImageTrigger: t})
	}
	if t.Spec.Attest == nil && len(found.all) == 0 {
		return nil
	}
	if len(entries) == 0 && t.Spec.Attest != nil {
		return d.unproven(t)
	}
	if limit := command.Ago(d.now.Add(-attested.Patience), d.now); len(found.all) == 0 {
		return []Finding{ok(check, "%d of %d entries have a signed verdict, and no other pass is without one for longer than %s", published, len(entries), limit)}
	}
	return found.findings(check)
}

// unproven checks that what will be asked for can be given, before there is any entry.
func (d *doctor) unproven(t *v1alpha1.ImageTrigger) []Finding {
	const check = "attestations"
	switch {
	case d.signing.ListErr != nil:
		return []Finding{unknown(check, readCure(d.signing.ListErr), "the trigger asks for signed verdicts, and whether it is listed is not known: %v", d.signing.ListErr)}
	case !d.signing.List.Has(t.Namespace, t.Name):
		s := d.signing.NotListed(t.Namespace, t.Name)
		return []Finding{problem(check, s.Cure, "%s", s.Message)}
	default:
		return []Finding{ok(check, "the trigger asks for signed verdicts, and is listed")}
	}
}

// records groups the records of an entry that are not as they should be. It returns 1 if one
// is published.
func (d *doctor) records(found *groups, e *v1alpha1.ImageVerification) int {
	published := 0
	for _, r := range d.signing.Records(e) {
		switch {
		case r.State == v1alpha1.AttestationPublished:
			published = 1
		case r.State == v1alpha1.AttestationPending && r.Cure == "":
		default:
			message := fmt.Sprintf("for %s: %s", command.Ago(r.Since.Time, d.now), cmp.Or(r.Message, "the registry does not answer"))
			found.add(unsigned{LevelProblem, string(r.State) + r.Reason, string(r.State) + ", " + message, r.Cure, 1, e})
		}
	}
	return published
}

// missing groups an entry whose verdict should have a statement and has none.
func (d *doctor) missing(found *groups, e *v1alpha1.ImageVerification, t attested.Trigger) {
	s := d.signing.Standing(e, t)
	switch s.Reason {
	case "", attested.Awaited, attestation.ReasonNoVerdict, attestation.ReasonNotPassed:
	case attestation.ReasonTooOld: // it had one, and there will be one after the next run
	case attested.NotKnown:
		found.add(unsigned{LevelUnknown, string(s.Reason), "not signed, " + s.Message, s.Cure, 1, e})
	case attestation.ReasonNotTrusted, attested.NoAttestor, attestation.ReasonNoKey, attestation.ReasonKept, attested.Overdue, attestation.ReasonInFuture:
		found.add(unsigned{LevelProblem, string(s.Reason), "not signed, " + s.Message, s.Cure, 1, e})
	default:
		found.add(unsigned{LevelUnknown, string(s.Reason), "not signed, " + s.String(), s.Cure, 1, e})
	}
}

// abandoned reports statements of entries whose trigger is gone, which no trigger's report shows.
func (d *doctor) abandoned(triggers []v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	var found groups
	for i := range entries {
		e := &entries[i]
		owned := slices.ContainsFunc(triggers, func(t v1alpha1.ImageTrigger) bool {
			return t.Namespace == e.Namespace && string(t.UID) == e.Spec.Trigger.UID
		})
		if !owned {
			d.records(&found, e)
		}
	}
	return found.findings("attestations")
}

// groups are the entries that are not as they should be, by reason, in the order they were found.
type groups struct{ all []*unsigned }

func (g *groups) add(u unsigned) {
	i := slices.IndexFunc(g.all, func(of *unsigned) bool { return of.reason == u.reason })
	if i < 0 {
		g.all = append(g.all, &u)
		return
	}
	g.all[i].count++
}

func (g *groups) findings(check string) []Finding {
	slices.SortStableFunc(g.all, func(a, b *unsigned) int { return cmp.Compare(b.count, a.count) })
	var findings []Finding
	for _, u := range g.all[:min(len(g.all), mostReasons)] {
		findings = append(findings, Finding{Level: u.level, Check: check, Cure: u.cure,
			Message: fmt.Sprintf("%s %s; the newest is %s", entriesHave(u.count), u.message, u.newest.Name)})
	}
	if more := len(g.all) - mostReasons; more > 0 {
		findings = append(findings, problem(check, "kubectl revet get -o wide", "there are %d more reasons", more))
	}
	return findings
}

func entriesHave(n int) string {
	if n == 1 {
		return "1 entry:"
	}
	return fmt.Sprintf("%d entries:", n)
}
