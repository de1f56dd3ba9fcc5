package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

var (
	noon   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	stream = push.Repository{Kind: push.ImageStream, Name: "shop/web", UID: "stream-1"}
	repo   = push.Repository{Kind: push.Registry, Name: "registry.example.com/shop/web"}
)

func clock() time.Time { return noon }

func digest(n int) image.Digest {
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n))
	if err != nil {
		panic(err)
	}
	return d
}

func trigger() *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "sec", Name: "vet", UID: "trigger-1", CreationTimestamp: metav1.NewTime(noon)}}
}

func pushOf(r push.Repository, tag string, d int, at time.Time) push.Push {
	pull, err := image.ParseRepository("registry.example.com/shop/web")
	if err != nil {
		panic(err)
	}
	return push.Push{Repository: r, Tag: tag, Digest: digest(d), PushedAt: at, Pull: pull, Reason: push.NewHead}
}

// store is an API server's storage that two receivers share.
func store(t *testing.T, f interceptor.Funcs) client.WithWatch {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ImageVerification{}).WithInterceptorFuncs(f).Build()
}

func record(t *testing.T, l *ledger.Ledger, p push.Push) ledger.Result {
	t.Helper()
	r, err := l.Record(t.Context(), trigger(), p, nil, v1alpha1.SourceEvent, noon)
	if err != nil {
		t.Fatalf("recording %s:%s: %v", p.Repository.Name, p.Tag, err)
	}
	return r
}

func entries(t *testing.T, c client.Client) []v1alpha1.ImageVerification {
	t.Helper()
	var list v1alpha1.ImageVerificationList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// Creation is the record and the intent: no second write follows it.
func TestRecordCreatesAnEntryThatNamesItsFirstPush(t *testing.T) {
	writes := 0
	c := store(t, interceptor.Funcs{SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
		writes++
		return nil
	}})
	l := ledger.New(c, ledger.NewIndex(clock))
	p := pushOf(stream, "prod", 1, noon.Add(time.Minute))
	p.Names = []image.Repository{p.Pull}
	if got := record(t, l, p).Outcome; got != ledger.Created {
		t.Fatalf("outcome = %q, want Created", got)
	}
	if writes != 0 {
		t.Errorf("Record wrote the status %d times after creating", writes)
	}
	got := entries(t, c)
	if len(got) != 1 {
		t.Fatalf("there are %d entries, want 1", len(got))
	}
	want := v1alpha1.ImageVerificationSpec{
		Trigger:    v1alpha1.TriggerReference{Name: "vet", UID: "trigger-1"},
		Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: "shop/web", UID: "stream-1", Pull: "registry.example.com/shop/web", Names: []string{"registry.example.com/shop/web"}},
		Digest:     digest(1).String(),
		FirstPush:  v1alpha1.PushRecord{Tag: "prod", PushedAt: metav1.NewTime(noon.Add(time.Minute)), ObservedAt: metav1.NewMicroTime(noon), Source: v1alpha1.SourceEvent},
	}
	if diff := cmp.Diff(want, got[0].Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if got, want := got[0].Labels, map[string]string{v1alpha1.TriggerUIDLabel: "trigger-1"}; !cmp.Equal(got, want) {
		t.Errorf("labels = %v, want %v", got, want)
	}
	if !l.Known(trigger(), stream).Covers(push.Observation{Repository: stream, Tag: "prod", Digest: digest(1), Created: p.PushedAt, Head: true}) {
		t.Error("the ledger does not cover what was just recorded")
	}
}

func TestRecordKeepsTheNewestPushOfEachTag(t *testing.T) {
	for _, test := range []struct {
		name string
		push push.Push
		want ledger.Outcome
		tags map[string]time.Time
	}{
		{"the same push again changes nothing", pushOf(stream, "prod", 1, noon), ledger.Unchanged, map[string]time.Time{"prod": noon}},
		{"an older push of the tag changes nothing", pushOf(stream, "prod", 1, noon.Add(-time.Hour)), ledger.Unchanged, map[string]time.Time{"prod": noon}},
		{"a newer push of the tag replaces it, undecided", pushOf(stream, "prod", 1, noon.Add(time.Hour)), ledger.Updated, map[string]time.Time{"prod": noon.Add(time.Hour)}},
		{"another tag is added", pushOf(stream, "next", 1, noon), ledger.Updated, map[string]time.Time{"prod": noon, "next": noon}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := store(t, interceptor.Funcs{})
			l := ledger.New(c, ledger.NewIndex(clock))
			first := record(t, l, pushOf(stream, "prod", 1, noon)).Entry
			if _, err := l.UpdateStatus(t.Context(), first, func(s *v1alpha1.ImageVerificationStatus) { s.Tags[0].Run = 1 }); err != nil {
				t.Fatal(err)
			}
			if got := record(t, l, test.push).Outcome; got != test.want {
				t.Errorf("outcome = %q, want %q", got, test.want)
			}
			got := map[string]time.Time{}
			entry := entries(t, c)[0]
			for _, tag := range entry.Tags() {
				got[tag.Tag] = tag.PushedAt.UTC()
				decided := tag.Tag == "prod" && tag.PushedAt.Time.Equal(noon)
				if decided != (tag.Run == 1) {
					t.Errorf("tag %q of %s has run %d", tag.Tag, tag.PushedAt, tag.Run)
				}
			}
			if diff := cmp.Diff(test.tags, got); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// One entry for a push, however many receivers see it at once.
func TestRecordAtOnceByTwoReceiversGivesOneEntry(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	receivers := []*ledger.Ledger{ledger.New(c, ledger.NewIndex(clock)), ledger.New(c, ledger.NewIndex(clock))}
	var wg sync.WaitGroup
	outcomes := make([]ledger.Outcome, 100)
	errs := make([]error, 100)
	for n := range outcomes {
		wg.Go(func() {
			r, err := receivers[n%2].Record(t.Context(), trigger(), pushOf(stream, "prod", 1, noon), nil, v1alpha1.SourceEvent, noon)
			outcomes[n], errs[n] = r.Outcome, err
		})
	}
	wg.Wait()
	count := map[ledger.Outcome]int{}
	for n := range outcomes {
		if errs[n] != nil {
			t.Fatalf("delivery %d: %v", n, errs[n])
		}
		count[outcomes[n]]++
	}
	if diff := cmp.Diff(map[ledger.Outcome]int{ledger.Created: 1, ledger.Unchanged: 99}, count); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if n := len(entries(t, c)); n != 1 {
		t.Errorf("there are %d entries, want 1", n)
	}
}

// Two receivers never remove each other's tags.
func TestRecordOfDifferentTagsAtOnceKeepsAll(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	record(t, ledger.New(c, ledger.NewIndex(clock)), pushOf(stream, "t0", 1, noon))
	var wg sync.WaitGroup
	for n := 1; n < 8; n++ {
		wg.Go(func() {
			l := ledger.New(c, ledger.NewIndex(clock))
			for {
				_, err := l.Record(t.Context(), trigger(), pushOf(stream, fmt.Sprintf("t%d", n), 1, noon), nil, v1alpha1.SourceEvent, noon)
				if !errors.Is(err, ledger.ErrConflict) {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	if got, want := entries(t, c)[0].Status.TagNames, 8; len(strings.Split(got, ",")) != want {
		t.Errorf("tags = %q, want %d of them", got, want)
	}
}

// An object that took the entry's name is never taken for the entry.
func TestRecordRefusesAForeignEntry(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	foreign := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sec", Name: ledger.EntryName("trigger-1", stream, digest(1))},
		Spec:       v1alpha1.ImageVerificationSpec{Trigger: v1alpha1.TriggerReference{Name: "other", UID: "other"}, Digest: digest(2).String()},
	}
	if err := c.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	_, err := ledger.New(c, ledger.NewIndex(clock)).Record(t.Context(), trigger(), pushOf(stream, "prod", 1, noon), nil, v1alpha1.SourceEvent, noon)
	if !errors.Is(err, ledger.ErrForeign) {
		t.Errorf("error = %v, want ErrForeign", err)
	}
}

// An entry that somebody deleted is made again, not updated into nothing.
func TestRecordAfterTheEntryWasDeleted(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	l := ledger.New(c, ledger.NewIndex(clock))
	entry := record(t, l, pushOf(stream, "prod", 1, noon)).Entry
	if err := c.Delete(t.Context(), entry.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Record(t.Context(), trigger(), pushOf(stream, "next", 1, noon), nil, v1alpha1.SourceEvent, noon); !apierrors.IsNotFound(err) {
		t.Fatalf("error = %v, want NotFound, which is tried again", err)
	}
	if got := record(t, l, pushOf(stream, "next", 1, noon)).Outcome; got != ledger.Created {
		t.Errorf("outcome = %q, want Created", got)
	}
}

func TestUpdateStatusIsOneOptimisticAttempt(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	l := ledger.New(c, ledger.NewIndex(clock))
	entry := record(t, l, pushOf(stream, "prod", 1, noon)).Entry
	before := entry.DeepCopy()
	running := func(s *v1alpha1.ImageVerificationStatus) { s.Phase = v1alpha1.PhaseRunning }
	written, err := l.UpdateStatus(t.Context(), entry, running)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, entry); diff != "" {
		t.Errorf("the entry that was given changed (-before +after):\n%s", diff)
	}
	want := v1alpha1.ImageVerificationStatus{
		Phase:        v1alpha1.PhaseRunning,
		Tags:         []v1alpha1.TagStatus{{PushRecord: entry.Spec.FirstPush}},
		TagNames:     "prod",
		LastPushedAt: &entry.Spec.FirstPush.PushedAt,
	}
	if diff := cmp.Diff(want, written.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if _, err := l.UpdateStatus(t.Context(), entry, func(s *v1alpha1.ImageVerificationStatus) { s.Phase = v1alpha1.PhasePassed }); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("writing an outdated entry: error = %v, want ErrConflict", err)
	}
	same, err := l.UpdateStatus(t.Context(), written, running)
	if err != nil || same.ResourceVersion != written.ResourceVersion {
		t.Errorf("writing nothing new made version %q of %q, error %v", same.ResourceVersion, written.ResourceVersion, err)
	}
}

// Where a registry shows no times, a push is a change of the tag's digest, and
// a roll-back is one.
func TestRegistryPushesAreOrderedBySequence(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	l := ledger.New(c, ledger.NewIndex(clock))
	covers := func(d int) bool {
		return l.Known(trigger(), repo).Covers(push.Observation{Repository: repo, Tag: "prod", Digest: digest(d), Created: noon, Head: true})
	}
	for n, step := range []struct {
		digest int
		want   ledger.Outcome
	}{
		{1, ledger.Created},
		{1, ledger.Unchanged},
		{2, ledger.Created},
		{1, ledger.Updated}, // the roll-back
		{1, ledger.Unchanged},
		{2, ledger.Updated},
	} {
		if covered := covers(step.digest); covered != (step.want == ledger.Unchanged) {
			t.Errorf("step %d: covered = %t before recording", n, covered)
		}
		if got := record(t, l, pushOf(repo, "prod", step.digest, noon)).Outcome; got != step.want {
			t.Errorf("step %d: outcome = %q, want %q", n, got, step.want)
		}
		if !covers(step.digest) {
			t.Errorf("step %d: not covered after recording", n)
		}
	}
	sequences := map[string]int64{}
	for _, e := range entries(t, c) {
		for _, tag := range e.Tags() {
			sequences[e.Spec.Digest] = tag.Sequence
		}
	}
	if diff := cmp.Diff(map[string]int64{digest(1).String(): 3, digest(2).String(): 4}, sequences); diff != "" {
		t.Errorf("sequences (-want +got):\n%s", diff)
	}
}

func TestErrorsOfTheAPIServerAreReturned(t *testing.T) {
	down := apierrors.NewServiceUnavailable("down")
	c := store(t, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return down }})
	index := ledger.NewIndex(clock)
	l := ledger.New(c, index)
	if _, err := l.Record(t.Context(), trigger(), pushOf(stream, "prod", 1, noon), nil, v1alpha1.SourceEvent, noon); !errors.Is(err, down) {
		t.Errorf("error = %v, want the API server's", err)
	}
	if index.Len() != 0 {
		t.Error("what could not be written counts as covered")
	}
}

// A conflict that never ends is told, not looped on.
func TestRecordGivesUpAfterSomeConflicts(t *testing.T) {
	attempts := 0
	c := store(t, interceptor.Funcs{SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
		attempts++
		return apierrors.NewConflict(schema.GroupResource{Resource: "imageverifications"}, "x", errors.New("changed"))
	}})
	l := ledger.New(c, ledger.NewIndex(clock))
	record(t, l, pushOf(stream, "prod", 1, noon))
	_, err := l.Record(t.Context(), trigger(), pushOf(stream, "next", 1, noon), nil, v1alpha1.SourceEvent, noon)
	if !errors.Is(err, ledger.ErrConflict) || attempts != 5 {
		t.Errorf("error = %v after %d attempts, want ErrConflict after 5", err, attempts)
	}
}

// An API server that does not answer says nothing about an entry: what the watch has shown
// still covers, and nothing would show it again.
func TestAReadThatFailsTakesNothingBack(t *testing.T) {
	down := apierrors.NewServiceUnavailable("down")
	failing := false
	c := store(t, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
		if failing {
			return down
		}
		return c.Get(ctx, key, obj, opts...)
	}})
	index := ledger.NewIndex(clock)
	l := ledger.New(c, index)
	index.Handler().OnAdd(record(t, l, pushOf(repo, "prod", 1, noon)).Entry, false)
	index.Handler().OnAdd(record(t, l, pushOf(repo, "next", 2, noon)).Entry, false)
	failing = true
	_, err := l.Record(t.Context(), trigger(), pushOf(repo, "next", 1, noon), nil, v1alpha1.SourceEvent, noon)
	if !errors.Is(err, down) {
		t.Fatalf("error = %v, want the API server's", err)
	}
	if !l.Known(trigger(), repo).Covers(push.Observation{Repository: repo, Tag: "prod", Digest: digest(1), Created: noon, Head: true}) {
		t.Error("the ledger no longer covers what the watch has shown")
	}
}
