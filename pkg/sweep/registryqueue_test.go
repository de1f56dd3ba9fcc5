package sweep

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

// stuckRegistry is a registry one host of which never comes to an end.
type stuckRegistry struct {
	*fakeRegistry
	host string
	// stuck is which of its answers it never ends.
	stuck string
	begun atomic.Int32
}

func (s *stuckRegistry) hangs(ctx context.Context, host, what string) error {
	if host != s.host || what != s.stuck {
		return nil
	}
	s.begun.Add(1)
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuckRegistry) Repositories(ctx context.Context, host string, as source.Account, each func(image.Repository)) error {
	if err := s.hangs(ctx, host, "catalogue"); err != nil {
		return err
	}
	return s.fakeRegistry.Repositories(ctx, host, as, each)
}

func (s *stuckRegistry) Tags(ctx context.Context, r image.Repository, as source.Account, each func(string)) error {
	if err := s.hangs(ctx, r.Host(), "tags"); err != nil {
		return err
	}
	return s.fakeRegistry.Tags(ctx, r, as, each)
}

func (s *stuckRegistry) Head(ctx context.Context, r image.Repository, tag string, as source.Account) (image.Digest, error) {
	if err := s.hangs(ctx, r.Host(), "head"); err != nil {
		return image.Digest{}, err
	}
	return s.fakeRegistry.Head(ctx, r, tag, as)
}

func (s *stuckRegistry) Content(ctx context.Context, ref image.Reference, as source.Account) (image.Content, error) {
	if err := s.hangs(ctx, ref.Repository().Host(), "content"); err != nil {
		return image.Content{}, err
	}
	return s.fakeRegistry.Content(ctx, ref, as)
}

// of makes a trigger another one.
func of(namespace, name string, t *v1alpha1.ImageTrigger) *v1alpha1.ImageTrigger {
	t.Namespace, t.Name, t.UID = namespace, name, types.UID(namespace+"/"+name)
	return t
}

// Property: a registry that comes to no end holds up the sweeps of the namespace that selects it,
// and no other's, however many triggers select it.
func TestARegistryHoldsUpItsOwnNamespaceAlone(t *testing.T) {
	const bad = "bad.example.com"
	for _, test := range []struct {
		name     string
		stuck    string
		triggers int
		hostile  func() *v1alpha1.ImageTrigger
		victim   func() *v1alpha1.ImageTrigger
	}{
		{"a catalogue without end", "catalogue", 5,
			func() *v1alpha1.ImageTrigger { return registries(bad + "/*") }, func() *v1alpha1.ImageTrigger { return registries(repositoryA) }},
		{"a list of tags without end", "tags", 5,
			func() *v1alpha1.ImageTrigger { return registries(bad + "/team/a") }, func() *v1alpha1.ImageTrigger { return registries(repositoryA) }},
		{"tags that are not answered for", "head", 5,
			func() *v1alpha1.ImageTrigger { return registries(bad + "/team/a") }, func() *v1alpha1.ImageTrigger { return registries(repositoryA) }},
		{"a thousand triggers that wait", "tags", 1000,
			func() *v1alpha1.ImageTrigger { return registries(bad + "/team/a") }, func() *v1alpha1.ImageTrigger { return registries(repositoryA) }},
		{"pushes to streams that only a registry can tell about", "content", 5,
			func() *v1alpha1.ImageTrigger { return trigger() }, func() *v1alpha1.ImageTrigger { return trigger() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := stream("hostile", "app", map[string][]item{"v1": {{7, 10}}})
			app.Status.DockerImageRepository = bad + "/hostile/app"
			app.Status.Tags[0].Items[0].DockerImageReference = bad + "/hostile/app@" + digest(7).String()
			w := newEnv(t, []client.Object{app, stream("victim", "web", map[string][]item{"v1": {{1, 10}}})}...)
			w.forged[digest(7)] = true
			registry := &stuckRegistry{fakeRegistry: w.registry, host: bad, stuck: test.stuck}
			w.sweeper.Registry = registry
			w.registry.set(bad+"/team/a", "v1", 2)
			w.registry.set(repositoryA, "v1", 3)
			for n := range test.triggers {
				w.sweeper.Request(of("hostile", fmt.Sprint("t", n), test.hostile()))
			}
			for deadline := time.Now().Add(20 * time.Second); registry.begun.Load() == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the registry was not asked within 20 s")
				}
			}
			victim := of("victim", "all", test.victim())
			victim.Spec.Existing = v1alpha1.ExistingVerify
			if r := w.sweep(victim); r.Reason != "" || r.Recovered != 1 {
				t.Errorf("the sweep of another namespace: %+v", r)
			}
			if latest, underWay := w.sweeper.Latest("hostile/t0"); latest != nil || !underWay {
				t.Errorf("latest %+v, under way: %v; the test proves nothing", latest, underWay)
			}
		})
	}
}

func testQueue() (*registryQueue, *time.Time) {
	now := noon
	return newRegistryQueue(queueLimits{workers: 8, each: 2, budget: 10 * time.Minute, window: 10 * time.Minute}, func() time.Time { return now }), &now
}

// begins returns what begins now, as "namespace/name", and the jobs.
func (q *registryQueue) begins() (names []string, jobs []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.atWork < q.workers {
		s := q.next()
		if s == nil {
			break
		}
		j := q.begin(s)
		name := string(j.target.trigger.UID)
		if !j.putOff.IsZero() {
			name += " put off until " + j.putOff.Format("15:04")
		}
		names, jobs = append(names, name), append(jobs, j)
	}
	return names, jobs
}

func (q *registryQueue) waits(namespace string, n int) {
	for i := range n {
		q.put(&target{trigger: of(namespace, fmt.Sprint(i), trigger())}, partRegistries)
	}
}

func wantJobs(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("begins: %s; want %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// Property: of one namespace two are at work, and the namespaces take turns.
func TestNamespacesTakeTurns(t *testing.T) {
	q, _ := testQueue()
	q.waits("a", 4)
	names, a := q.begins()
	wantJobs(t, names, "a/0", "a/1")
	q.waits("b", 3)
	q.waits("c", 1)
	names, _ = q.begins()
	wantJobs(t, names, "b/0", "c/0", "b/1")
	q.done(a[0])
	q.waits("d", 1)
	names, _ = q.begins()
	wantJobs(t, names, "d/0", "a/2") // the one with less at work, though it came later
}

// A request that waits is replaced by a later one of the same part, and keeps its place.
func TestALaterRequestTakesThePlaceOfOneThatWaits(t *testing.T) {
	q, _ := testQueue()
	q.waits("a", 3)
	later := &target{trigger: of("a", "0", trigger()), respecified: true}
	q.put(later, partRegistries)
	q.put(&target{trigger: of("a", "0", trigger())}, partStreams)
	if n := len(q.spaces["a"].waiting); n != 4 {
		t.Fatalf("%d wait, want three triggers, one with two parts", n)
	}
	if _, jobs := q.begins(); jobs[0].target != later || jobs[0].part != partRegistries {
		t.Errorf("begins: %+v", jobs[0])
	}
}

// Property: a namespace that used up its budget goes behind all others, gets what these leave, and
// is put off where that is little; in the next window it is like any other.
func TestANamespaceThatUsedUpItsBudgetGoesLast(t *testing.T) {
	q, now := testQueue()
	spend := func(namespace string) {
		q.waits(namespace, 1)
		_, jobs := q.begins()
		*now = now.Add(9 * time.Minute)
		for _, j := range jobs {
			q.done(j)
		}
		q.spaces[namespace].began, q.spaces[namespace].spent = *now, 10*time.Minute
	}
	spend("a")
	q.waits("a", 3)
	names, jobs := q.begins()
	wantJobs(t, names, "a/0", "a/1") // nobody else wants anything
	for _, j := range jobs {
		q.done(j)
	}
	for _, other := range []string{"b", "c"} {
		q.waits(other, 3)
	}
	names, jobs = q.begins()
	wantJobs(t, names, "b/0", "c/0", "b/1", "c/1", "a/2 put off until 12:19")
	for _, j := range jobs {
		q.done(j)
	}
	*now = now.Add(10 * time.Minute)
	for _, namespace := range []string{"d", "e", "a"} {
		q.waits(namespace, 1)
	}
	names, _ = q.begins()
	wantJobs(t, names, "b/2", "c/2", "d/0", "e/0", "a/0")
}

// Property: namespaces that are slow, or not known yet, never have all workers, however many they
// are: a namespace whose sweeps are quick begins, for a minute at most where others could not.
func TestSlowNamespacesLeaveWorkersToQuickOnes(t *testing.T) {
	q, now := testQueue()
	q.waits("quick", 1)
	_, jobs := q.begins()
	*now = now.Add(quickWithin)
	q.done(jobs[0])
	for _, slow := range []string{"a", "b", "c", "d"} {
		q.waits(slow, 5)
	}
	names, slow := q.begins()
	wantJobs(t, names, "a/0", "b/0", "c/0", "d/0", "a/1", "b/1")
	for _, j := range slow {
		if j.limit != 0 {
			t.Errorf("%s is limited to %s", j.target.trigger.UID, j.limit)
		}
	}
	q.waits("quick", 2)
	names, jobs = q.begins()
	wantJobs(t, names, "quick/0", "quick/1")
	for _, j := range jobs {
		if j.limit != quickLimit {
			t.Errorf("%s is limited to %s, want %s", j.target.trigger.UID, j.limit, quickLimit)
		}
	}
	// It turns slow, and is like the others. Those that are still at work are slow when they end.
	*now = now.Add(quickLimit)
	for _, j := range jobs {
		q.done(j)
	}
	q.waits("quick", 1)
	names, _ = q.begins()
	wantJobs(t, names)
	q.done(slow[0])
	names, jobs = q.begins()
	wantJobs(t, names, "quick/0") // it has the least at work
	*now = now.Add(time.Second)
	q.done(jobs[0])
	q.waits("quick", 1)
	names, _ = q.begins()
	wantJobs(t, names, "quick/0") // it is quick again
}

// What is remembered of quick namespaces is bounded.
func TestQuickNamespacesAreBounded(t *testing.T) {
	q, now := testQueue()
	for n := range maxQuick + 10 {
		q.ended(fmt.Sprint("n", n), time.Second)
	}
	if len(q.quick) != maxQuick {
		t.Errorf("%d are kept, want %d", len(q.quick), maxQuick)
	}
	*now = now.Add(q.window + time.Second)
	if q.ended("late", time.Second); len(q.quick) != 1 {
		t.Errorf("%d are kept after their time, want one", len(q.quick))
	}
}

// A sweep in a place that is for what is quick ends when it turns out not to be, and says so.
func TestASweepIsLimitedInAPlaceForQuickOnes(t *testing.T) {
	w := newEnv(t)
	registry := &stuckRegistry{fakeRegistry: w.registry, host: "bad.example.com", stuck: "tags"}
	w.sweeper.Registry = registry
	asked := registries("bad.example.com/team/a")
	target, err := newTarget(asked)
	if err != nil {
		t.Fatal(err)
	}
	w.sweeper.mu.Lock()
	w.sweeper.states[asked.UID] = &state{generation: asked.Generation, waiting: 1}
	w.sweeper.mu.Unlock()
	w.sweeper.askRegistries(t.Context(), &job{target: target, part: partRegistries, limit: time.Millisecond})
	<-w.done
	r, _ := w.sweeper.Latest(asked.UID)
	if registry.begun.Load() == 0 || r.Reason == "" || r.Coverage() != v1alpha1.CoverageNotKnown {
		t.Errorf("%s: %+v after %d questions", r.Coverage(), r, registry.begun.Load())
	}
}

// Nothing is kept of a namespace without triggers once its window is over.
func TestTheQueueForgetsNamespaces(t *testing.T) {
	q, now := testQueue()
	q.waits("a", 1)
	_, jobs := q.begins()
	*now = now.Add(time.Minute)
	q.done(jobs[0])
	q.begins()
	if len(q.spaces) != 1 || q.spaces["a"].spent != time.Minute {
		t.Errorf("%+v is kept, want the minute that was used", q.spaces)
	}
	*now = now.Add(10 * time.Minute)
	q.begins()
	if len(q.spaces) != 0 {
		t.Errorf("%d namespaces are kept", len(q.spaces))
	}
}

// Property: what was put off is told, with the time of the next try, and is never no gap.
func TestWhatIsPutOffIsTold(t *testing.T) {
	for _, part := range []string{partRegistries, partStreams} {
		t.Run(part, func(t *testing.T) {
			w := newEnv(t)
			asked := registries(repositoryA)
			target, err := newTarget(asked)
			if err != nil {
				t.Fatal(err)
			}
			if part == partStreams {
				target = target.begin(w.sweeper.Now())
				target.doubtful.add(push.Push{Repository: push.Repository{Name: "team-a/app"}, Tag: "v1", Digest: digest(1), PushedAt: noon})
			}
			w.sweeper.mu.Lock()
			w.sweeper.states[asked.UID] = &state{generation: asked.Generation, waiting: 1}
			w.sweeper.mu.Unlock()
			w.sweeper.askRegistries(t.Context(), &job{target: target, part: part, putOff: at(7200)})
			<-w.done
			r, _ := w.sweeper.Latest(asked.UID)
			if r.Reason != SweepPutOff || !strings.Contains(r.Message, "from 2025-03-01T14:00:00Z on") || !r.Retry || !r.NotBefore.Equal(at(7200)) {
				t.Errorf("result %+v", r)
			}
			if r.Coverage() != v1alpha1.CoverageNotKnown || len(r.Unknown) != 1 || r.Unknown[0].Cure == "" || r.Gap != r.Unread {
				t.Errorf("%s: %+v", r.Coverage(), r)
			}
			if w.registry.heads+w.registry.contents > 0 {
				t.Error("the registry was asked")
			}
		})
	}
}

// Property: the names that a namespace's sweeps hold are bounded, a list beyond that is never
// complete, and nothing is held afterwards.
func TestTheNamesOfANamespaceAreBounded(t *testing.T) {
	w := newEnv(t)
	w.sweeper.names.most = 1000
	for n := range 100 {
		w.registry.set(repositoryA, fmt.Sprintf("tag-%d", n), 1)
		w.registry.set(fmt.Sprintf("many.example.com/r%d", n), "v1", 1)
	}
	w.registry.set(repositoryB, "v1", 2)
	for _, test := range []struct {
		name, pattern string
		complete      bool
	}{
		{"many tags", repositoryA, false},
		{"many repositories", "many.example.com/*", false},
		{"few", repositoryB, true},
	} {
		r := w.sweep(of("team-a", test.name, registries(test.pattern)))
		if (r.Reason == "") != test.complete || (len(r.Baselines) == 1) != test.complete ||
			(!test.complete && !strings.Contains(r.Message, "more than 1000 bytes of names")) {
			t.Errorf("%s: %+v", test.name, r)
		}
	}
	if len(w.sweeper.names.held) != 0 {
		t.Errorf("%v is held", w.sweeper.names.held)
	}
	w.sweeper.names.held["team-a"] = 990
	if r := w.sweep(of("team-b", "other", registries(repositoryB))); r.Reason != "" {
		t.Errorf("another namespace: %+v", r)
	}
	if r := w.sweep(of("team-a", "full", registries(repositoryB))); r.Reason != RegistryNotSwept || r.Coverage() != v1alpha1.CoverageNotKnown {
		t.Errorf("a namespace that holds too much: %+v", r)
	}
}
