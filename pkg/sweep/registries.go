package sweep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
)

const partRegistries = "registries"

// baseline is one entry of spec.images for registries. It is established once
// its first sweep was complete.
type baseline struct {
	key         string
	pattern     string
	selector    *selector.Selector
	established bool
	// tally counts the failures of this entry alone.
	tally tally
}

// sweepRegistries compares the repositories that one trigger selects. What is
// returned is the target with what was seen.
func (s *Sweeper) sweepRegistries(ctx context.Context, waiting *target) *target {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	t := waiting.begin(s.Now())
	if s.Registry == nil {
		t.tally.fail(RegistryNotSwept, errors.New("sweeping of registries is switched off; only their notifications are seen"), false)
		return t
	}
	baselines, err := baselinesOf(t.trigger)
	if err != nil {
		t.tally.fail(RegistryNotSwept, err, false)
		return t
	}
	t.resting = newResting(s.Now)
	pool := newPool(s.options.Concurrency)
	for _, r := range s.repositories(ctx, t, baselines) {
		t.tally.saw(r.String())
		s.sweepRepository(ctx, pool, t, baselines, r)
	}
	pool.wait()
	for _, b := range baselines {
		if b.established || b.tally.complete() {
			t.tally.baselines = append(t.tally.baselines, b.key)
		}
	}
	return t
}

// baselinesOf lists the entries of spec.images that select registries.
func baselinesOf(trigger *v1alpha1.ImageTrigger) ([]*baseline, error) {
	var all []*baseline
	for i := range trigger.Spec.Images {
		entry := trigger.Spec.Images[i]
		if entry.Repository == "" {
			continue
		}
		alone := trigger.DeepCopy()
		alone.Spec.Images = []v1alpha1.ImageSelector{entry}
		compiled, err := selector.Compile(alone)
		if err != nil {
			return nil, fmt.Errorf("trigger %q: %w", trigger.Name, err)
		}
		key, err := baselineKey(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, &baseline{
			key: key, pattern: entry.Repository, selector: compiled,
			established: slices.Contains(trigger.Status.Baselines, key),
		})
	}
	return all, nil
}

// baselineKey names an entry by what it selects, so that a change of its tags
// makes another one: what the new tags admit was there before too.
func baselineKey(entry v1alpha1.ImageSelector) (string, error) {
	if len(entry.Tags.Include) == 0 && len(entry.Tags.Exclude) == 0 {
		return entry.Repository, nil
	}
	tags, err := json.Marshal(entry.Tags)
	if err != nil {
		return "", fmt.Errorf("naming the tags of %q: %w", entry.Repository, err)
	}
	sum := sha256.Sum256(tags)
	return entry.Repository + " tags:" + hex.EncodeToString(sum[:4]), nil
}

// repositories lists what the entries select, each once.
func (s *Sweeper) repositories(ctx context.Context, t *target, baselines []*baseline) []image.Repository {
	seen := map[image.Repository]bool{}
	var all []image.Repository
	add := func(r image.Repository) {
		if !seen[r] {
			seen[r] = true
			all = append(all, r)
		}
	}
	for _, b := range baselines {
		if !strings.ContainsAny(b.pattern, "*?") {
			r, err := image.ParseRepository(b.pattern)
			if err != nil {
				b.fail(t, &source.Refusal{Reason: source.InvalidRepository, Err: err})
				continue
			}
			add(r)
			continue
		}
		host, _, _ := strings.Cut(b.pattern, "/")
		err := t.resting.ask(host, func() error {
			return s.Registry.Repositories(ctx, host, t.account, func(r image.Repository) {
				if b.selector.MatchesRepository(r) {
					add(r)
				}
			})
		})
		if err != nil {
			b.fail(t, fmt.Errorf("listing the repositories of registry %q for %q, whose notifications are seen nevertheless: %w", host, b.pattern, err))
		}
	}
	return all
}

// fail counts a failure against the entry and the trigger.
func (b *baseline) fail(t *target, err error) {
	b.tally.failed(err)
	t.tally.failed(err)
}

// sweepRepository looks at each tag that the trigger admits.
func (s *Sweeper) sweepRepository(ctx context.Context, pool *pool, t *target, baselines []*baseline, r image.Repository) {
	tags := t.selector.Repository(r)
	var mu sync.Mutex
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		t.tally.failed(err)
		for _, b := range baselines {
			if b.selector.MatchesRepository(r) {
				b.tally.failed(err)
			}
		}
	}
	err := t.resting.ask(r.Host(), func() error {
		return s.Registry.Tags(ctx, r, t.account, func(tag string) {
			if !image.ValidTag(tag) || !tags.Admit(tag) {
				return
			}
			pool.do(func() {
				err := t.resting.ask(r.Host(), func() error { return s.sweepTag(ctx, t, baselines, r, tag) })
				if err != nil {
					failed(err)
				}
			})
		})
	})
	// A repository that does not exist has no tags: what is pushed to it later is new.
	if err != nil && source.ReasonOf(err) != source.NotFound {
		failed(fmt.Errorf("listing the tags of %q: %w", r, err))
	}
}

// sweepTag records the head of a tag if the ledger does not cover it.
func (s *Sweeper) sweepTag(ctx context.Context, t *target, baselines []*baseline, r image.Repository, tag string) error {
	claimed, err := s.Registry.Head(ctx, r, tag, t.account)
	if source.ReasonOf(err) == source.NotFound {
		return nil // deleted since it was listed
	}
	if err != nil {
		return fmt.Errorf("reading tag %q of %q: %w", tag, r, err)
	}
	stream := push.Stream{
		Repository: push.Repository{Kind: push.Registry, Name: r.String()},
		Pull:       r,
		Tags:       []push.Tag{{ClaimedName: tag, Items: []push.Item{{ClaimedDigest: claimed.String(), Created: s.Now()}}}},
	}
	known := s.Ledger.Known(t.trigger, stream.Repository)
	counted := &counting{Known: known}
	result := push.Detect(stream, counted, s.recorder)
	found, place := result.Pushes, r.String()+":"+tag
	if len(found) == 0 {
		switch {
		case counted.covered > 0:
			t.tally.show(place, shown{pushes: 1})
		case len(exempted(result.Skips)) > 0:
			t.tally.show(place, s.exempted(t, stream.Repository, tag, claimed))
		}
		return nil
	}
	source := sourceOf(t.trigger, baselines, r, tag)
	if k, ok := known.(remembering); ok && k.Seen(tag) {
		source = v1alpha1.SourceSweep // the ledger had another head of it
	}
	seen, err := s.recordTag(ctx, t, found[0], source)
	t.tally.show(place, seen)
	return err
}

// remembering is what a ledger's Known may answer too: whether it has any push of
// a tag. What is not answered counts as no.
type remembering interface{ Seen(tag string) bool }

// sourceOf tells what was there before from what was pushed since: a tag was
// there before if no entry that admits it has had a complete sweep.
func sourceOf(trigger *v1alpha1.ImageTrigger, baselines []*baseline, r image.Repository, tag string) v1alpha1.PushSource {
	if trigger.Spec.Existing == v1alpha1.ExistingVerify {
		return v1alpha1.SourceSweep
	}
	for _, b := range baselines {
		if b.established && b.selector.Repository(r).Admit(tag) {
			return v1alpha1.SourceSweep
		}
	}
	return v1alpha1.SourceExisting
}
