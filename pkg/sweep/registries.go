package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

const partRegistries = "registries"

// sweepRegistries compares the repositories that one trigger selects. What is
// returned is the target with what was seen.
func (s *Sweeper) sweepRegistries(ctx context.Context, waiting *target) *target {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	t := waiting.begin(s.Now())
	if s.Registry == nil {
		t.tally.note(trouble{reason: RegistryNotSwept, kind: SweepsOff, err: errors.New("sweeps of registries are switched off; Revet sees their notifications only")})
		return t
	}
	baselines, err := baselinesOf(t.trigger)
	if err != nil {
		t.tally.fail(RegistryNotSwept, err, false)
		return t
	}
	t.backoff = newBackoff(s.Now)
	defer func() { s.names.release(t.trigger.Namespace, t.names) }()
	pool := newPool(s.options.Concurrency)
	var suspects []image.Repository
	for _, r := range s.repositories(ctx, t, baselines) {
		t.tally.sawListed()
		if s.sweepRepository(ctx, pool, t, baselines, r) && r.uncatalogued {
			suspects = append(suspects, r.Repository)
		}
	}
	pool.wait()
	for _, b := range baselines {
		s.checkCatalogue(ctx, t, b, suspects)
	}
	for _, b := range baselines {
		if b.established || b.tally.complete() {
			t.tally.baselines = append(t.tally.baselines, b.key)
		}
	}
	return t
}

// listing is a repository to sweep.
type listing struct {
	image.Repository
	// named: an entry of spec.images names it without wildcards.
	named bool
	// uncatalogued: the ledger has pushes of it, and the registry's catalogue does not
	// list it.
	uncatalogued bool
}

// repositories lists what the entries select, each once.
func (s *Sweeper) repositories(ctx context.Context, t *target, baselines []*baseline) []listing {
	seen := map[image.Repository]bool{}
	var all []listing
	add := func(l listing) {
		if !seen[l.Repository] {
			seen[l.Repository] = true
			all = append(all, l)
		}
	}
	for _, b := range baselines {
		if b.wild() {
			continue
		}
		r, err := image.ParseRepository(b.pattern)
		if err != nil {
			b.fail(t, &source.Refusal{Reason: source.InvalidRepository, Err: err})
			continue
		}
		add(listing{Repository: r, named: true})
	}
	for _, b := range baselines {
		if !b.wild() {
			continue
		}
		found, listed, err := s.catalogue(ctx, t, b)
		for _, r := range found {
			add(listing{Repository: r})
		}
		if err != nil {
			b.fail(t, fmt.Errorf("listing the repositories of registry %q for %q (Revet still sees its notifications): %w", b.host(), b.pattern, err))
			continue
		}
		if listed == 0 {
			// That keeps no baseline back: in a registry that is empty, all that comes is new.
			t.tally.fail(CatalogueIncomplete, fmt.Errorf("the catalogue of registry %q lists no repository at all: "+
				"the registry is empty, or hides what it has from service account %q", b.host(), t.account.Name), false)
		}
		for _, r := range s.recordedRepositories(t, b) {
			add(listing{Repository: r, uncatalogued: true})
		}
	}
	return all
}

// catalogue lists the repositories of a registry that an entry selects, and counts all that
// the registry lists. With an error the list is not complete.
func (s *Sweeper) catalogue(ctx context.Context, t *target, b *baseline) (found []image.Repository, listed int, err error) {
	err = t.backoff.ask(b.host(), func() error {
		all, size, err := collect(ctx, s, t, func(ctx context.Context, each func(image.Repository)) error {
			return s.Registry.Repositories(ctx, b.host(), t.account, each)
		}, image.Repository.String)
		t.names += size // what is found is kept for the rest of the sweep
		listed = len(all)
		for _, r := range all {
			if b.selector.MatchesRepository(r) {
				found = append(found, r)
			}
		}
		return err
	})
	return found, listed, err
}

// recordedRepositories returns the repositories that an entry selects and that the ledger
// has pushes of: a registry may leave out of its catalogue what it let somebody push to.
func (s *Sweeper) recordedRepositories(t *target, b *baseline) []image.Repository {
	var all []image.Repository
	for _, recorded := range s.Ledger.Repositories(t.trigger) {
		if recorded.Kind != push.Registry {
			continue
		}
		if r, err := image.ParseRepository(recorded.Name); err == nil && b.selector.MatchesRepository(r) {
			all = append(all, r)
		}
	}
	return all
}

// collect reads one list of a registry, bounded in time, length and size. With an error the
// list is not complete. The caller releases the size of its names.
func collect[T any](
	ctx context.Context, s *Sweeper, t *target,
	read func(ctx context.Context, each func(T)) error, name func(T) string,
) (all []T, size int, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.ListTimeout)
	defer cancel()
	tooLong, tooLarge := false, false
	err = read(ctx, func(one T) {
		held := 0
		if tooLong = tooLong || len(all) >= s.options.MaxListed; !tooLong && !tooLarge {
			held, tooLarge = s.names.hold(t.trigger.Namespace, name(one))
		}
		if tooLong || tooLarge {
			cancel()
			return
		}
		all, size = append(all, one), size+held
	})
	switch {
	case tooLong:
		err = &source.Refusal{Reason: source.Unreadable, Err: fmt.Errorf("the list has more than %d names", s.options.MaxListed)}
	case tooLarge:
		err = s.names.tooMany(t.trigger.Namespace)
	case err == nil && ctx.Err() != nil:
		err = ctx.Err() // nobody knows whether that was all
	}
	return all, size, err
}

// checkCatalogue counts the repositories that have tags and that an entry's catalogue, read
// once more, still leaves out: there may be others that nobody knows of. That is no failure
// of the entry, which would never have a first complete sweep.
func (s *Sweeper) checkCatalogue(ctx context.Context, t *target, b *baseline, suspects []image.Repository) {
	suspects = slices.DeleteFunc(slices.Clone(suspects), func(r image.Repository) bool { return !b.selector.MatchesRepository(r) })
	if !b.wild() || len(suspects) == 0 {
		return
	}
	found, _, err := s.catalogue(ctx, t, b)
	if err != nil {
		b.fail(t, fmt.Errorf("listing the repositories of registry %q once more: %w", b.host(), err))
		return
	}
	for _, r := range suspects {
		if !slices.Contains(found, r) {
			t.tally.fail(CatalogueIncomplete, fmt.Errorf("the catalogue of registry %q does not list %q, which has tags", r.Host(), r), false)
		}
	}
}

// sweepRepository looks at each tag that the trigger admits. It reports whether there are
// any.
func (s *Sweeper) sweepRepository(ctx context.Context, pool *pool, t *target, baselines []*baseline, l listing) bool {
	r := l.Repository
	var listed []string
	var size int
	err := t.backoff.ask(r.Host(), func() (err error) {
		listed, size, err = collect(ctx, s, t, func(ctx context.Context, each func(string)) error {
			return s.Registry.Tags(ctx, r, t.account, each)
		}, func(tag string) string { return tag })
		return err
	})
	defer func() { s.names.release(t.trigger.Namespace, size) }()
	known := s.Ledger.Known(t.trigger, push.Repository{Kind: push.Registry, Name: r.String()})
	switch {
	case err == nil:
	case source.ReasonOf(err) != source.NotFound || len(listed) > 0:
		// A list that breaks off, even with a 404, is not complete.
		failRepository(t, baselines, r, fmt.Errorf("listing the tags of %q: %w", r, err))
	case l.named && !known.Empty():
		t.tally.fail(RepositoryGone, fmt.Errorf("registry %q says that it has no repository %q, of which the ledger has pushes", r.Host(), r.Path()), false)
	default: // there is nothing yet, and what is pushed later is new
	}
	tags := t.selector.Repository(r)
	slices.Sort(listed)
	for _, tag := range slices.Compact(listed) { // a page that is shown twice
		if !image.ValidTag(tag) || !tags.Admit(tag) {
			continue
		}
		pool.do(func() {
			err := t.backoff.ask(r.Host(), func() error { return s.sweepTag(ctx, t, baselines, r, tag) })
			switch source.ReasonOf(err) {
			case source.DigestUnsupported, source.Unreadable:
				// It is this tag alone, for good: the entry's first sweep is complete without.
				t.tally.failed(err)
			default:
				if err != nil {
					failRepository(t, baselines, r, err)
				}
			}
		})
	}
	return len(listed) > 0
}
