package gate

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
)

// The standings beside those of package gate.
const (
	standingExempt   = "Exempt"
	standingNotKnown = "NotKnown"
)

// judge says what each gate of the object's namespace says of each of its images.
func (w *world) judge(ctx context.Context, o object) []*Image {
	var rows []*Image
	for _, use := range o.uses {
		gated := false
		for _, g := range w.gates {
			row := &Image{Namespace: o.namespace, Object: o.name, Field: use.Field, Image: use.Image, Gate: g.Name, Mode: g.Status.Mode}
			selected, err := w.selects(ctx, g, o.namespace)
			switch {
			case err != nil:
				row.notKnown(fmt.Sprintf("whether the gate gates namespace %q: %v", o.namespace, err), "ask somebody who may read the namespace, or create it first")
			case !selected:
				continue
			default:
				w.judgeImage(ctx, g, row)
				w.breakGlass(ctx, g, o, row)
			}
			gated = true
			row.follow()
			rows = append(rows, row)
		}
		if !gated {
			rows = append(rows, &Image{
				Namespace: o.namespace, Object: o.name, Field: use.Field, Image: use.Image, Happens: Admitted, InDeny: Admitted,
			})
		}
	}
	for _, row := range rows {
		if n, err := gate.Normalize(row.Image); err == nil {
			row.Name = n.String()
		}
		if row.Expires != nil {
			row.expiresIn = duration.HumanDuration(row.Expires.Sub(w.now))
		}
	}
	return rows
}

// notKnown notes that nobody can tell.
func (i *Image) notKnown(why, cure string) {
	i.Standing, i.InDeny, i.Why, i.Cure = standingNotKnown, NotKnown, why, cure
}

func (i *Image) refuse(why, cure string) { i.InDeny, i.Why, i.Cure = Refused, why, cure }

// follow says what becomes of the image by the gate's mode.
func (i *Image) follow() {
	i.Happens = i.InDeny
	if i.InDeny != Refused {
		return
	}
	switch i.Mode {
	case v1alpha1.GateDeny:
	case v1alpha1.GateWarn:
		i.Happens = Warned
	case v1alpha1.GateAudit:
		i.Happens = Audited
	default:
		i.Happens = Admitted
		i.Why += " (the gate is not in force yet)"
	}
}

// judgeImage says what a gate says of an image, as if its mode were Deny.
func (w *world) judgeImage(ctx context.Context, g *gateView, row *Image) {
	row.Standing = gate.Unknown.String()
	name, err := gate.Normalize(row.Image)
	switch {
	case g.invalid != nil:
		row.notKnown("the gate's spec cannot be followed: "+g.invalid.Error(), "kubectl edit imagegate "+g.Name)
		return
	case err != nil:
		row.refuse(err.Error(), "write host/path:tag@sha256:DIGEST, in lower case")
		return
	}
	if e := w.exemption(g, row.Image); e != nil {
		row.Standing, row.InDeny, row.Why = standingExempt, Admitted, fmt.Sprintf("exempt by %s: %s", e.Images, e.Reason)
		if last, err := time.Parse(time.DateOnly, e.Expires); err == nil {
			ends := last.AddDate(0, 0, 1)
			row.Expires = &ends
		}
		return
	}
	hex := name.Digest
	if hex == "" {
		if hex = w.pin(ctx, g, name, row); hex == "" {
			return
		}
		row.Pinned = "sha256:" + hex
	}
	w.judgeDigest(ctx, g, name, hex, row)
	if name.Digest == "" && row.InDeny == Admitted && !w.pinsTags() {
		row.refuse("this API server does not pin tags, and nobody can tell what a tag stands for when the image is pulled",
			fmt.Sprintf("write %s@%s", name, row.Pinned))
	}
}

// exemption returns the entry of spec.exempt that an image matches, or nil.
func (w *world) exemption(g *gateView, reference string) *v1alpha1.GateExemption {
	for i := range g.Spec.Exempt {
		one := v1alpha1.ImageGate{Spec: v1alpha1.ImageGateSpec{Exempt: g.Spec.Exempt[i : i+1]}}
		if e, err := gate.ExemptionsOf(&one); err == nil && e.Match(reference, w.now) {
			return &g.Spec.Exempt[i]
		}
	}
	return nil
}

// judgeDigest says what a gate says of a digest.
func (w *world) judgeDigest(ctx context.Context, g *gateView, name gate.Name, hex string, row *Image) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		row.refuse(err.Error(), "write host/path:tag@sha256:DIGEST")
		return
	}
	evidence, unread := w.evidence(ctx, g, digest)
	f := g.rules.Judge(evidence, w.now)
	if unread != nil && f.Standing != gate.Failed {
		// What was not read may have failed it.
		row.notKnown("the ledger of a trigger that the gate trusts: "+unread.Error(), "ask somebody who may read it")
		return
	}
	row.Standing = f.Standing.String()
	switch f.Standing {
	case gate.Verified:
		ends := f.At.Add(g.rules.MaxAge())
		row.InDeny, row.Expires = Admitted, &ends
	case gate.Expired:
		w.judgeExpired(g, hex, f, row)
	default:
		row.refuse(f.Message, cureOf(g, f, name.Repository+"@"+digest.String()))
	}
}

// judgeExpired admits a digest that ran here, where the gate does.
func (w *world) judgeExpired(g *gateView, hex string, f gate.Finding, row *Image) {
	again := fmt.Sprintf("kubectl revet replay %s -n %s", f.Entry, f.Namespace)
	if g.Spec.OnExpired == v1alpha1.ExpiredDeny || f.Verdict == nil || f.Verdict.Outcome != v1alpha1.OutcomePass {
		row.refuse(f.Message, again)
		return
	}
	if g.unread != nil {
		row.notKnown(f.Message+"; whether it ran behind the gate is not known: "+g.unread.Error(), again)
		return
	}
	ran, err := time.Parse(time.RFC3339, g.ran[hex])
	if err != nil || !w.now.Before(ran.Add(gate.RanFor)) {
		row.refuse(f.Message+", and it did not run behind the gate within 30 days", again)
		return
	}
	ends := ran.Add(gate.RanFor)
	row.InDeny, row.Expires, row.Cure = Admitted, &ends, again
	row.Why = f.Message + "; it starts with a warning, as it ran behind the gate at " + ran.UTC().Format(command.SecondLayout)
}

// cureOf says what to do about a digest that does not count.
func cureOf(g *gateView, f gate.Finding, reference string) string {
	trusted := g.Spec.Trust[0]
	switch f.Reason {
	case gate.ReasonNoEntry:
		return fmt.Sprintf("kubectl revet verify %s -n %s --trigger %s --wait", reference, trusted.Namespace, trusted.Trigger)
	case gate.ReasonFailed:
		return fmt.Sprintf("kubectl revet explain %s -n %s says what to mend; then push it again", f.Entry, f.Namespace)
	case gate.ReasonNoResult:
		return fmt.Sprintf("kubectl revet explain %s -n %s says what it waits for, or why it has no verdict", f.Entry, f.Namespace)
	case gate.ReasonInFuture:
		return "set the clocks of the cluster's nodes"
	default:
		return fmt.Sprintf("let the pipeline of ImageTrigger %s do what spec.require of the gate asks, then kubectl revet replay %s -n %s", f.Trigger, f.Entry, f.Namespace)
	}
}

// breakGlass lets an image start whose Pod has the label, if the caller may use it.
func (w *world) breakGlass(ctx context.Context, g *gateView, o object, row *Image) {
	if row.InDeny != Refused || o.labels[v1alpha1.BreakGlassLabel] != "true" {
		return
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Resource: "imagegates", Name: g.Name, Verb: gate.BypassVerb,
	}}}
	switch err := w.cl.Writer.Create(ctx, review); {
	case err != nil:
		row.notKnown(fmt.Sprintf("%s; whether the break-glass label counts, which it has: %v", row.Why, err), row.Cure)
	case review.Status.Allowed:
		row.InDeny, row.Why = Admitted, row.Why+"; it starts by break-glass, which you may use"
	default:
		row.Why += "; its break-glass label does not count, as you have no right to bypass the gate"
	}
}
