package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// fakeRegistry shows repositories and tags, and refuses what it is told to:
// "catalogue", or a repository's name.
type fakeRegistry struct {
	// onItsWord: that artefacts cannot run is the registry's word alone.
	onItsWord bool
	mu        sync.Mutex
	tags      map[string]map[string]image.Digest
	refuse    map[string]error
	// claims are what HEAD claims of tags, if that is not what they point to.
	claims map[string]image.Digest
	// gone are tags that are listed, and do not exist.
	gone map[string]bool
	// heads counts the tags that were asked for.
	heads int
	// contents counts the digests that were read, and artefact tells which cannot run.
	contents int
	artefact func(image.Digest) bool
}

func (f *fakeRegistry) set(repository, tag string, d int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tags[repository] == nil {
		f.tags[repository] = map[string]image.Digest{}
	}
	f.tags[repository][tag] = digest(d)
}

func (f *fakeRegistry) Repositories(_ context.Context, host string, _ source.Account, each func(image.Repository)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.tags {
		if r, err := image.ParseRepository(name); err == nil && r.Host() == host {
			each(r)
		}
	}
	return f.refuse["catalogue"]
}

func (f *fakeRegistry) Tags(_ context.Context, r image.Repository, _ source.Account, each func(string)) error {
	f.mu.Lock()
	var tags []string
	for tag := range f.tags[r.String()] {
		tags = append(tags, tag)
	}
	err := f.refuse[r.String()]
	f.mu.Unlock()
	for _, tag := range tags {
		each(tag)
	}
	return err
}

func (f *fakeRegistry) Head(_ context.Context, r image.Repository, tag string, _ source.Account) (image.Digest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads++
	if d, odd := f.claims[r.String()+":"+tag]; odd {
		return d, nil
	}
	return f.shown(r, tag)
}

// Tagged returns what the tag really points to.
func (f *fakeRegistry) Tagged(_ context.Context, r image.Repository, tag string, _ image.Digest, _ source.Account) (image.Digest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown(r, tag)
}

func (f *fakeRegistry) shown(r image.Repository, tag string) (image.Digest, error) {
	if err := f.refuse[r.String()+":"+tag]; err != nil {
		return image.Digest{}, err
	}
	d, ok := f.tags[r.String()][tag]
	if !ok || f.gone[r.String()+":"+tag] {
		return image.Digest{}, &source.Refusal{Reason: source.NotFound, Err: errors.New("404")}
	}
	return d, nil
}

func (f *fakeRegistry) Content(_ context.Context, ref image.Reference, _ source.Account) (image.Content, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contents++
	if err := f.refuse["content"]; err != nil {
		return image.Content{}, err
	}
	if f.onItsWord && f.artefact(ref.Digest()) {
		return image.Content{Kind: image.ContentIndex, Complete: true, Children: []image.Content{{Kind: image.ContentBlob, ClaimedBlob: true}}}, nil
	}
	return image.Content{Kind: image.ContentImage, OtherConfig: f.artefact(ref.Digest())}, nil
}

const (
	repositoryA = "registry.example.com/team/a"
	repositoryB = "registry.example.com/team/b"
)

func registries(patterns ...string) *v1alpha1.ImageTrigger {
	return trigger(func(t *v1alpha1.ImageTrigger) {
		t.Spec.Images = nil
		for _, p := range patterns {
			t.Spec.Images = append(t.Spec.Images, v1alpha1.ImageSelector{Repository: p})
		}
	})
}

// storeBaselines makes the trigger's status what the reconciler makes of a result.
func storeBaselines(t *v1alpha1.ImageTrigger, r Result) { t.Status.Baselines = r.Baselines }

// A registry shows no times: what the first complete sweep finds was there
// before, what a later one finds was pushed.
func TestFirstSweepOfARepositoryRecordsWhatIsThereAsExisting(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	asked := registries(repositoryA)
	r := w.sweep(asked)
	if diff := cmp.Diff([]string{repositoryA}, r.Baselines); diff != "" || r.Recovered != 0 || r.Repositories != 1 {
		t.Fatalf("result %+v", r)
	}
	storeBaselines(asked, r)

	w.registry.set(repositoryA, "v1", 2)
	w.registry.set(repositoryA, "v2", 2)
	if r := w.sweep(asked); r.Recovered != 2 || len(r.Baselines) != 1 {
		t.Fatalf("result %+v", r)
	}
	want := []string{
		repositoryA + " 01 v1@3600 existing",
		repositoryA + " 02 v1@3600 sweep",
		repositoryA + " 02 v2@3600 sweep",
	}
	if diff := cmp.Diff(want, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	// Back to the first digest is a push again, which only the sequence tells.
	w.registry.set(repositoryA, "v1", 1)
	if r := w.sweep(asked); r.Recovered != 1 {
		t.Errorf("result %+v, want the roll-back recovered", r)
	}
	if r := w.sweep(asked); r.Recovered != 0 {
		t.Errorf("result %+v, want nothing new", r)
	}
}

func TestExistingVerifyTakesWhatIsThere(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	asked := registries(repositoryA)
	asked.Spec.Existing = v1alpha1.ExistingVerify
	if r := w.sweep(asked); r.Recovered != 1 {
		t.Errorf("result %+v", r)
	}
	if diff := cmp.Diff([]string{repositoryA + " 01 v1@3600 sweep"}, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// With a pattern, a repository that appears later was pushed since.
func TestRepositoryThatAppearsUnderAPatternIsNotExisting(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	w.registry.set("registry.example.com/other/x", "v1", 3)
	asked := registries("registry.example.com/team/*")
	storeBaselines(asked, w.sweep(asked))
	w.registry.set(repositoryB, "v1", 2)
	storeBaselines(asked, w.sweep(asked))
	want := []string{repositoryA + " 01 v1@3600 existing", repositoryB + " 02 v1@3600 sweep"}
	if diff := cmp.Diff(want, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// An entry that is added, or whose tags change, has a first sweep of its own.
func TestAnEntryThatChangesHasAFirstSweepOfItsOwn(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	w.registry.set(repositoryA, "dev", 3)
	w.registry.set(repositoryB, "v1", 2)
	asked := registries(repositoryA)
	asked.Spec.Images[0].Tags.Include = []string{"v*"}
	storeBaselines(asked, w.sweep(asked))

	asked.Generation = 2
	asked.Spec.Images[0].Tags.Include = []string{"v*", "dev"}
	asked.Spec.Images = append(asked.Spec.Images, v1alpha1.ImageSelector{Repository: repositoryB})
	r := w.sweep(asked)
	want := []string{repositoryA + " 01 v1@3600 existing", repositoryA + " 03 dev@3600 existing", repositoryB + " 02 v1@3600 existing"}
	if diff := cmp.Diff(want, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if len(r.Baselines) != 2 {
		t.Errorf("baselines %q, want those of the two entries there are", r.Baselines)
	}
}

// A first sweep that did not see everything is not the first complete one.
func TestBaselineWaitsForACompleteSweep(t *testing.T) {
	for _, test := range []struct {
		name, refuse string
		pattern      string
		err          error
		retry        bool
		reason       string
	}{
		{"a tag that cannot be read", repositoryA + ":v1", repositoryA, errors.New("502"), true, ReadFailed},
		{"tags that cannot be listed", repositoryA, repositoryA, errors.New("timeout"), true, ReadFailed},
		{"tags that may not be listed", repositoryA, repositoryA, &source.Refusal{Reason: source.Denied, Err: errors.New("401")}, false, RegistryNotSwept},
		{"a catalogue that is not to be had", "catalogue", "registry.example.com/team/**", &source.Refusal{Reason: source.NotFound, Err: errors.New("404")}, false, RegistryNotSwept},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t)
			w.registry.set(repositoryA, "v1", 1)
			w.registry.set(repositoryB, "v1", 2)
			w.registry.refuse[test.refuse] = test.err
			asked := registries(test.pattern, repositoryB)
			r := w.sweep(asked)
			if r.Reason != test.reason || r.Retry != test.retry || r.Message == "" {
				t.Errorf("result %+v", r)
			}
			// The other entry's first sweep was complete all the same.
			if diff := cmp.Diff([]string{repositoryB}, r.Baselines); diff != "" {
				t.Errorf("baselines (-want +got):\n%s", diff)
			}
			storeBaselines(asked, r)
			delete(w.registry.refuse, test.refuse)
			r = w.sweep(asked)
			if !slices.Contains(r.Baselines, test.pattern) || r.Reason != "" {
				t.Errorf("result after the cure %+v", r)
			}
			want := []string{repositoryA + " 01 v1@3600 existing", repositoryB + " 02 v1@3600 existing"}
			if diff := cmp.Diff(want, w.entries()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTagThatIsGoneOrNoTagIsPassedOver(t *testing.T) {
	w := newEnv(t)
	w.registry.tags[repositoryA] = map[string]image.Digest{"gone": {}, "$(evil)": digest(1)}
	if r := w.sweep(registries(repositoryA)); r.Reason != "" {
		t.Errorf("result %+v", r)
	}
	if got := w.entries(); len(got) > 0 {
		t.Errorf("ledger %q", got)
	}
}

// A trigger that selects both has one result, of both.
func TestStreamsAndRegistriesMakeOneResult(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	w.registry.set(repositoryA, "v1", 2)
	asked := registries(repositoryA)
	asked.Spec.Images = append(asked.Spec.Images, v1alpha1.ImageSelector{ImageStreams: &v1alpha1.ImageStreamSelector{}})
	r := w.sweep(asked)
	if r.Repositories != 2 || r.Recovered != 1 || fmt.Sprint(r.Baselines) != "["+repositoryA+"]" {
		t.Errorf("result %+v", r)
	}
}

// A registry's HEAD may claim what the registry does not have. That becomes no entry, and the
// push is not lost.
func TestWhatATagPointsToIsRecomputed(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	w.registry.set(repositoryA, "listed", 2)
	w.registry.claims = map[string]image.Digest{repositoryA + ":v1": digest(9), repositoryA + ":listed": digest(8)}
	w.registry.gone = map[string]bool{repositoryA + ":listed": true}
	asked := registries(repositoryA)
	asked.Spec.Existing = v1alpha1.ExistingVerify
	for round, want := range []Result{{Repositories: 1, Recovered: 1, Pushes: 1}, {Repositories: 1, Pushes: 1}} {
		r := w.sweep(asked)
		if r.Recovered != want.Recovered || r.Pushes != want.Pushes || r.Gap != 0 || r.Reason != "" {
			t.Errorf("sweep %d: %+v, want %+v", round+1, r, want)
		}
	}
	if diff := cmp.Diff([]string{repositoryA + " 01 v1@3600 sweep"}, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}
