package sweep

import (
	"context"
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

var errNoRegistry = errors.New("sweeping of registries is switched off")

// recordStreamPush records a push to an ImageStream whose Image object shows that it runs.
// Of others only the registry can tell, which the sweep asks after it read all streams.
func (s *Sweeper) recordStreamPush(ctx context.Context, t *target, p push.Push) shown {
	return s.recordShown(ctx, t, recorder.Candidate{
		Push: p, Source: v1alpha1.SourceSweep,
		Image: func(ctx context.Context) (openshift.ImageState, error) { return s.Images.Image(ctx, p.Digest) },
	})
}

// resolveDoubt asks the registry what a doubtful push is, and records it unless it is
// proven to be exempt.
func (s *Sweeper) resolveDoubt(ctx context.Context, t *target, p push.Push) shown {
	return s.recordShown(ctx, t, recorder.Candidate{
		Push: p, Source: v1alpha1.SourceSweep,
		Content: func(ctx context.Context) (content image.Content, err error) {
			if s.Registry == nil {
				return image.Content{}, errNoRegistry
			}
			err = t.backoff.ask(p.Pull.Host(), func() error {
				content, err = s.Registry.Content(ctx, p.Pull.At(p.Digest), t.account)
				return err
			})
			return content, err
		},
	})
}

// recordShown records a push to an ImageStream, and counts what could not be read of it.
func (s *Sweeper) recordShown(ctx context.Context, t *target, c recorder.Candidate) shown {
	seen, err := s.record(ctx, t, c)
	if err != nil {
		t.tally.failed(err)
	}
	return seen
}

// recordTag records the head of a registry's tag.
func (s *Sweeper) recordTag(ctx context.Context, t *target, p push.Push, from v1alpha1.PushSource) (shown, error) {
	return s.record(ctx, t, recorder.Candidate{
		Push: p, Source: from,
		Content: func(ctx context.Context) (image.Content, error) {
			return s.Registry.Content(ctx, p.Pull.At(p.Digest), t.account)
		},
	})
}

// record records a push for a target, and says what it counts for. The error is of what
// could not be read.
func (s *Sweeper) record(ctx context.Context, t *target, c recorder.Candidate) (shown, error) {
	why := missed(c.Push, circumstances{
		now: s.Now(), trigger: t.trigger.CreationTimestamp.Time, process: s.began, respecified: t.respecified,
	})
	c.Trigger, c.Missed = t.trigger, string(why)
	done := s.recorder.Record(ctx, c)
	if done.Unread != nil {
		s.Examiner.Doubted(t.trigger, c.Push, done.Unread)
	}
	gap := shown{pushes: 1, gap: 1}
	switch done.Outcome {
	case recorder.Recorded:
		if c.Source != v1alpha1.SourceExisting {
			t.tally.recorded()
			s.Metrics.recovered(ctx, why)
		}
		return shown{pushes: 1}, nil
	case recorder.Covered:
		return shown{pushes: 1}, nil
	case recorder.Exempt:
		return s.exempted(t, Artefact{Repository: c.Push.Repository, Tag: c.Push.Tag, Digest: c.Push.Digest, Why: done.Why}), nil
	case recorder.Doubtful:
		t.doubtful.add(c.Push)
		return shown{}, nil
	case recorder.NotRecordable:
		t.tally.fail(NotRecordable, done.Err, false)
		return gap, nil
	case recorder.Forgotten:
		t.tally.fail(TooManyTags, fmt.Errorf("tag %q of %q shows %s: %w",
			c.Push.Tag, c.Push.Repository.Name, c.Push.Digest, done.Err), false)
		return notRead(1), nil
	case recorder.NotWritten:
		t.tally.fail(RecordFailed, done.Err, true)
		return gap, nil
	case recorder.Gone, recorder.NotRead:
		return notRead(1), fmt.Errorf("reading what %s@%s is: %w", c.Push.Pull, c.Push.Digest, done.Err)
	default:
		return gap, fmt.Errorf("recording %s: the outcome %q is not known", c.Push, done.Outcome)
	}
}
