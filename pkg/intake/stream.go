package intake

import (
	"context"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

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
	// Another delivery may have recorded the same pushes since.
	claimed, news, r := i.hasNews(ctx, obs)
	if !news {
		return r
	}
	i.Metrics.reread(ctx, v1alpha1.SourceEvent)
	asked := newPrefetch(i.Cluster, object)
	asked.start(ctx, claimed)
	state, err := i.Cluster.Stream(ctx, object.Namespace, object.Name)
	if err != nil {
		return again(KindStream, err)
	}
	failpoint.Hit("intake.read")
	if state == nil {
		return Handled(KindStream, Gone)
	}
	return i.act(ctx, object, state, asked)
}

// hasNews compares what the event claims with the ledger, from caches. An event in
// Reference mode claims nothing, so the stream must be read.
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
		i.reportSkips(ctx, f.Skips)
	}
	return nil, false, Handled(KindStream, NothingNew)
}

// act records what the API server showed, for each trigger that may see it.
func (i *Intake) act(ctx context.Context, object openshift.Object, state *openshift.StreamState, asked *prefetch) Result {
	findings, err := i.find(ctx, object, state)
	if err != nil {
		return again(KindStream, err)
	}
	c := tally{kind: KindStream}
	news := false
	for _, f := range findings {
		i.reportSkips(ctx, f.Skips)
		if len(f.Pushes) == 0 {
			continue
		}
		news = true
		account := f.trigger.account()
		allowed, err := asked.right(ctx, account).get()
		if err != nil {
			c.fail(err)
			continue
		}
		if !allowed {
			c.deny()
			i.reportTrigger(ctx, f.trigger, state.Stream.Repository, string(NotVisible), "trigger's account may not get the ImageStream", grant(account, object))
			continue
		}
		i.record(ctx, f, func(p push.Push) recorder.Candidate { return i.streamCandidate(f.trigger, p, asked) }, &c)
	}
	if !news {
		return Handled(KindStream, NothingNew)
	}
	return c.result()
}

// grant says how to let an account see a stream.
func grant(a source.Account, object openshift.Object) error {
	return fmt.Errorf("service account %q of namespace %q may not get ImageStream %q in namespace %q; to let it see the namespace's streams: %s",
		a.Name, a.Namespace, object.Name, object.Namespace, a.GrantImageStreams(object.Namespace))
}

// streamCandidate says how to find out what a push to an ImageStream is.
func (i *Intake) streamCandidate(t *Trigger, p push.Push, asked *prefetch) recorder.Candidate {
	return recorder.Candidate{
		Trigger: t.ImageTrigger, Push: p, Source: v1alpha1.SourceEvent,
		Image: func(ctx context.Context) (openshift.ImageState, error) { return asked.image(ctx, p.Digest).get() },
		Content: func(ctx context.Context) (image.Content, error) {
			host := p.Pull.Host()
			if err := asked.isAway(host); err != nil {
				return image.Content{}, err
			}
			ctx, cancel := context.WithTimeout(ctx, i.RegistryTimeout)
			defer cancel()
			content, err := i.Registry.Content(ctx, p.Pull.At(p.Digest), t.account())
			if err != nil && source.ReasonOf(err) == "" {
				asked.setAway(host, err)
			}
			return content, err
		},
	}
}
