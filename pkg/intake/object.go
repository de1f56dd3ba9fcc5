package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// knownTypes is the prefix of the event types that Revet decodes.
const knownTypes = "dev.knative.apiserver."

// ownTypes are the prefixes of the types of events that Revet or a pipeline caused. A Broker
// delivers these to the receiver again, and would do so until their time to live ends.
var ownTypes = []string{"dev.revet.", "dev.cdevents.", "dev.tekton.event."}

// PassOver returns why Revet does not decode events of a type; "" for a type that it decodes.
func PassOver(eventType string) Reason {
	if strings.HasPrefix(eventType, knownTypes) {
		return ""
	}
	for _, own := range ownTypes {
		if strings.HasPrefix(eventType, own) {
			return OwnEvent
		}
	}
	return UnknownType
}

// Event handles one CloudEvent.
func (i *Intake) Event(ctx context.Context, e *cloudevents.Event) Result {
	if reason := PassOver(e.Type()); reason != "" {
		return Handled(KindOther, reason)
	}
	obs, err := openshift.Decode(e)
	if err != nil {
		return Result{Status: Refused, Reason: Undecodable, Kind: KindOther, Err: err}
	}
	failpoint.Hit("intake.decoded")
	switch {
	case obs.Ignored == openshift.UnknownType:
		return Handled(KindOther, UnknownType)
	case obs.Ignored != "":
		return Handled(KindOther, UnknownKind)
	case obs.Object.Kind == openshift.Image:
		return Handled(KindImage, ImageEvent)
	case obs.Verb == openshift.Delete:
		return Handled(KindStream, Deleted)
	default:
		return i.stream(ctx, obs)
	}
}

// stream handles an ImageStream that was added or updated.
func (i *Intake) stream(ctx context.Context, obs openshift.Observation) Result {
	if _, news, r := i.hasNews(ctx, obs); !news {
		return r
	}
	object := obs.Object
	unlock, err := i.locks.lock(ctx, object.Namespace+"/"+object.Name)
	if err != nil {
		return again(KindStream, fmt.Errorf("waiting for another event of ImageStream %q in namespace %q: %w", object.Name, object.Namespace, err))
	}
	defer unlock()
	// Another delivery may have recorded just this since it was looked at.
	claimed, news, r := i.hasNews(ctx, obs)
	if !news {
		return r
	}
	i.Metrics.reread(ctx, v1alpha1.SourceEvent)
	reads := newReads(i.Cluster, object)
	reads.ahead(ctx, claimed)
	state, err := i.Cluster.Stream(ctx, object.Namespace, object.Name)
	if err != nil {
		return again(KindStream, err)
	}
	failpoint.Hit("intake.read")
	if state == nil {
		return Handled(KindStream, Gone)
	}
	return i.act(ctx, object, state, reads)
}

// hasNews compares what the event claims with the ledger, from caches. An event
// in Reference mode claims nothing, so that the stream must be read.
func (i *Intake) hasNews(ctx context.Context, obs openshift.Observation) ([]finding, bool, Result) {
	if obs.Stream == nil {
		if !i.Triggers.snapshot().streams {
			return nil, false, Handled(KindStream, NotSelected)
		}
		return nil, true, Result{}
	}
	findings, err := i.find(ctx, obs.Object, &openshift.StreamState{Namespace: obs.Object.Namespace, Name: obs.Object.Name, Labels: obs.Labels, Stream: *obs.Stream})
	switch {
	case err != nil:
		return nil, false, again(KindStream, err)
	case len(findings) == 0:
		return nil, false, Handled(KindStream, NotSelected)
	}
	news := false
	for _, f := range findings {
		news = news || len(f.Pushes) > 0
	}
	if news {
		return findings, true, Result{}
	}
	for _, f := range findings {
		i.tellSkips(ctx, f.Skips)
	}
	return nil, false, Handled(KindStream, NothingNew)
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

// act records what the API server showed, for each trigger that may see it.
func (i *Intake) act(ctx context.Context, object openshift.Object, state *openshift.StreamState, reads *reads) Result {
	findings, err := i.find(ctx, object, state)
	if err != nil {
		return again(KindStream, err)
	}
	c := tally{kind: KindStream}
	news := false
	for _, f := range findings {
		i.tellSkips(ctx, f.Skips)
		if len(f.Pushes) == 0 {
			continue
		}
		news = true
		allowed, err := reads.mayGet(ctx, f.trigger.account())
		if err != nil {
			c.fail(err)
			continue
		}
		if !allowed {
			c.deny()
			i.tellTrigger(ctx, f.trigger, state.Stream.Repository, string(NotVisible), "trigger's account may not get the ImageStream", cure(f.trigger.account(), object))
			continue
		}
		i.record(ctx, f, func(t *Trigger, p push.Push) (seen, error) { return i.weigh(ctx, reads, t, p) }, v1alpha1.SourceEvent, &c)
	}
	if !news {
		return Handled(KindStream, NothingNew)
	}
	return c.result()
}

// cure says how to let an account see a stream.
func cure(a source.Account, object openshift.Object) error {
	return fmt.Errorf("service account %q of namespace %q may not get ImageStream %q in namespace %q; to let it see the namespace's streams: "+
		"kubectl create role imagestream-reader -n %[4]s --verb=get --resource=imagestreams.image.openshift.io; "+
		"kubectl create rolebinding imagestream-reader-%[2]s-%[1]s -n %[4]s --role=imagestream-reader --serviceaccount=%[2]s:%[1]s",
		a.Name, a.Namespace, object.Name, object.Namespace)
}

// permanent returns why a record can never be written; "" if a retry may.
func permanent(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ledger.ErrForeign):
		return "ForeignEntry"
	case apierrors.IsInvalid(err):
		return "InvalidEntry"
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "NamespaceTerminating"
	default:
		return ""
	}
}
