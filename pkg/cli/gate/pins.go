package gate

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
)

// pin returns the 64 hexadecimal digits of the digest that a tag is pinned to. If there is
// none, it says why in the row and returns "".
func (w *world) pin(ctx context.Context, g *gateView, name gate.Name, row *Image) string {
	write := fmt.Sprintf("write %s@sha256:DIGEST; crane digest %s shows the digest, and kubectl revet verify has it verified", name, name)
	if g.Spec.PinTags == v1alpha1.PinOff {
		row.refuse("it names no digest, and the gate pins no tags (pinTags: Off)", write)
		return ""
	}
	tags, err := w.tags(ctx, g)
	if err != nil {
		row.notKnown("what the tag stands for: "+err.Error(), "write "+name.String()+"@sha256:DIGEST")
		return ""
	}
	switch value, ok := tags[name.String()]; {
	case !ok:
		row.refuse("it names no digest, and no trigger that the gate trusts recorded a push of this tag", write)
	case len(value) == hexDigits:
		return value
	default:
		row.refuse("the newest push of its tag is not verified: "+value,
			fmt.Sprintf("kubectl revet explain %s -n %s says more", name, g.Spec.Trust[0].Namespace))
	}
	return ""
}

const hexDigits = 64

// tags are what the gate's tags stand for, by the entries of the triggers that it trusts.
func (w *world) tags(ctx context.Context, g *gateView) (map[string]string, error) {
	if g.tags != nil {
		return g.tags, nil
	}
	var pushes []gate.TagPush
	read := map[string]bool{}
	for _, t := range g.Spec.Trust {
		if read[t.Namespace] {
			continue
		}
		read[t.Namespace] = true
		entries, err := w.ledger(ctx, t.Namespace)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			pushes = append(pushes, g.rules.TagPushes(&entries[i])...)
		}
	}
	var unread error
	find := func(hex string) gate.Finding {
		d, err := image.ParseDigest("sha256:" + hex)
		if err != nil {
			return gate.Finding{Message: err.Error()}
		}
		evidence, err := w.evidence(ctx, g, d)
		if err != nil {
			unread = err
		}
		return g.rules.Judge(evidence, w.now)
	}
	pins := g.rules.Pins(g.Spec.PinTags, pushes, find, nil, gate.MaxTagBytes)
	if unread != nil {
		return nil, unread
	}
	if pins.Omitted > 0 {
		w.note("Gate %s has no room for %d tags, of which %s is the first: they are refused.", g.Name, pins.Omitted, pins.FirstOmitted)
	}
	if pins.Unnamed > 0 {
		w.note("Gate %s does not know %d tags by name, as their digests were pushed to too many: they are refused.",
			g.Name, pins.Unnamed)
	}
	g.tags = pins.Tags
	return g.tags, nil
}

// pinsTags reports whether the API server serves what pins tags, in a version that Revet
// writes.
func (w *world) pinsTags() bool {
	kind := schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"}
	_, err := w.cl.Writer.RESTMapper().RESTMapping(kind, "v1", "v1beta1")
	return err == nil
}
