package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/selector"
)

// baseline is one entry of spec.images for registries. It is established once a sweep of it
// was complete.
type baseline struct {
	key         string
	pattern     string
	selector    *selector.Selector
	established bool
	// tally counts the failures of this entry alone.
	tally tally
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

// wild reports whether the entry's pattern has wildcards.
func (b *baseline) wild() bool { return strings.ContainsAny(b.pattern, "*?") }

// host returns the registry that the entry selects from.
func (b *baseline) host() string {
	host, _, _ := strings.Cut(b.pattern, "/")
	return host
}

// failRepository counts a failure against the trigger, and the entries that select the
// repository.
func failRepository(t *target, baselines []*baseline, r image.Repository, err error) {
	t.tally.failed(err)
	for _, b := range baselines {
		if b.selector.MatchesRepository(r) {
			b.tally.failed(err)
		}
	}
}

// fail counts a failure against the entry and the trigger.
func (b *baseline) fail(t *target, err error) {
	b.tally.failed(err)
	t.tally.failed(err)
}

// sourceOf tells tags that were there before from tags that were pushed since: a tag was there
// before if no entry that admits it has had a complete sweep.
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
