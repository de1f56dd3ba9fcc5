package intake

import (
	"context"
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// finding is what one repository shows that is new to one trigger.
type finding struct {
	trigger *Trigger
	push.Result
}

// find returns a finding for each trigger that selects the stream.
func (i *Intake) find(ctx context.Context, object openshift.Object, state *openshift.StreamState) ([]finding, error) {
	list := i.Triggers.snapshot()
	if !list.streams {
		return nil, nil
	}
	var labels map[string]string
	if list.otherNamespaces {
		var err error
		if labels, err = i.Namespaces.Labels(ctx, object.Namespace); err != nil {
			return nil, err
		}
	}
	var findings []finding
	for _, t := range list.triggers {
		tags := t.selector.Stream(object.Namespace, labels, object.Name, state.Labels)
		if !tags.Empty() {
			findings = append(findings, i.compare(t, state.Stream, tags))
		}
	}
	return findings, nil
}

// compare detects the pushes that a repository shows and that the ledger does not cover
// for one trigger. It uses caches only.
func (i *Intake) compare(t *Trigger, s push.Stream, tags selector.Tags) finding {
	known := ledger.WithinScope(i.Ledger.Known(t.ImageTrigger, s.Repository), t.ImageTrigger, t.selector.AdmitTime)
	return finding{trigger: t, Result: push.Detect(s.Only(tags.Admit), known, i.recorder)}
}

// interested returns the triggers that select the tag and for which the ledger does not
// cover the claimed digest. It uses caches only.
func (i *Intake) interested(ctx context.Context, from Endpoint, at place, claimed image.Digest) (interested []*Trigger, selected bool) {
	for _, t := range i.Triggers.snapshot().triggers {
		tags := t.selector.Repository(at.repository)
		if !tags.Admit(at.tag) {
			continue
		}
		if !from.Allows(t.Namespace) {
			i.reportTrigger(ctx, t, i.shows(at, "").Repository, string(source.NotAllowed), "trigger selects a registry that is not listed for its namespace",
				fmt.Errorf("add namespace %q to the entry of host %q in the ConfigMap config-registries", t.Namespace, from.Host))
			continue
		}
		selected = true
		if claimed.IsZero() || len(i.compare(t, i.shows(at, claimed.String()), tags).Pushes) > 0 {
			interested = append(interested, t)
		}
	}
	return interested, selected
}
