package sweep

import (
	"context"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

// sweepTag records what a tag points to if the ledger does not cover it.
func (s *Sweeper) sweepTag(ctx context.Context, t *target, baselines []*baseline, r image.Repository, tag string) error {
	repository := push.Repository{Kind: push.Registry, Name: r.String()}
	known := s.Ledger.Known(t.trigger, repository)
	look, err := s.lookAt(ctx, t, r, tag, known)
	switch {
	case source.ReasonOf(err) == source.NotFound:
		return nil // deleted since it was listed
	case err != nil:
		return fmt.Errorf("reading tag %q of %q: %w", tag, r, err)
	}
	switch {
	case len(look.Pushes) > 0:
	case look.covered:
		t.tally.count(shown{pushes: 1})
		return nil
	default:
		if len(exempted(look.Skips)) > 0 {
			why := s.recorder.Why(look.digest)
			t.tally.count(s.exempted(t, Artefact{Repository: repository, Tag: tag, Digest: look.digest, Why: why}))
		}
		return nil
	}
	from := sourceOf(t.trigger, baselines, r, tag)
	if known.Seen(tag) {
		from = v1alpha1.SourceSweep // the ledger had another head of it
	}
	seen, err := s.recordTag(ctx, t, look.Pushes[0], from)
	t.tally.count(seen)
	return err
}

// tagLook is what a tag points to, compared with the ledger.
type tagLook struct {
	push.Result
	digest  image.Digest
	covered bool
}

// lookAt looks at a tag. HEAD may claim what the registry does not have, so it is believed
// only if the ledger says the same.
func (s *Sweeper) lookAt(ctx context.Context, t *target, r image.Repository, tag string, known ledger.Coverage) (tagLook, error) {
	claimed, err := s.Registry.Head(ctx, r, tag, t.account)
	if err != nil {
		return tagLook{}, err
	}
	look := s.compareTag(r, tag, claimed, known)
	if len(look.Pushes) == 0 {
		return look, nil
	}
	digest, err := s.Registry.Tagged(ctx, r, tag, claimed, t.account)
	if err != nil {
		return tagLook{}, err
	}
	return s.compareTag(r, tag, digest, known), nil
}

func (s *Sweeper) compareTag(r image.Repository, tag string, d image.Digest, known push.Known) tagLook {
	counted := &counting{Known: known}
	result := push.Detect(push.Stream{
		Repository: push.Repository{Kind: push.Registry, Name: r.String()},
		Pull:       r,
		Tags:       []push.Tag{{ClaimedName: tag, Items: []push.Item{{ClaimedDigest: d.String(), Created: s.Now()}}}},
	}, counted, s.recorder)
	return tagLook{Result: result, digest: d, covered: counted.covered > 0}
}
