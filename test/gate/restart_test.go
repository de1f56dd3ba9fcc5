package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// restarts is how often the API server starts again. Each takes it some seconds.
	restarts = 2
	// refusedFor is how long an API server that says that it is ready may go on to refuse
	// what is verified.
	refusedFor = 10 * time.Second
	// kindUnknown is what it says while it does not know the kind of what policies look up.
	// It may have asked for the kinds that there are before it served that one, and asks
	// every 30 s (kubernetes/kubernetes#124237). No gate can make that shorter.
	kindUnknown    = "failed to find resource referenced by paramKind"
	kindUnknownFor = 35 * time.Second
	// steadyFor is how long everything has to be answered as it should until a restart is
	// over. It is longer than the API server takes to read policies, parameters and schemas
	// again.
	steadyFor = 6 * time.Second
)

// A request that is made again and again while the API server starts anew.
type request struct {
	name string
	// verified is false for what must never be admitted.
	verified bool
	ask      func(context.Context, user) error
}

// restarted is what came of one kind of request.
type restarted struct {
	request
	admitted int
	// refused counts by what the API server said.
	refused map[string]int
	// answered is when the API server first answered after it was away.
	answered time.Time
	// lastUnknown is when it was last refused because the kind was not known, and lastRefused
	// for another reason; zero for never.
	lastUnknown, lastRefused time.Time
	// admittedSince is zero after a refusal.
	admittedSince time.Time
}

// Property: an API server that starts again admits nothing that is not verified, from its first
// answer on; and what is verified it refuses no longer than 10 s after it says that it is ready
// and knows the kind that it looks up.
func TestARestartedAPIServerAdmitsNothingElse(t *testing.T) {
	alone(t)
	g := newTagged(t, v1alpha1.GateDeny, nil)
	old := podOf("app"+at("a"), "free.example/app:1")
	old.Labels = map[string]string{"a": "b"}
	old = g.create(t, old)
	for range restarts {
		ready, all := g.restart(t, g.requests(old))
		for _, r := range all {
			t.Logf("%s: answered %s before readiness, admitted %d times; refused: %s",
				r.name, ready.Sub(r.answered).Round(time.Millisecond), r.admitted, counts(r.refused))
			switch {
			case !r.verified && r.admitted > 0:
				t.Errorf("%s: admitted %d times", r.name, r.admitted)
			case !r.verified && len(r.refused) == 0:
				t.Errorf("%s: never answered", r.name)
			case r.verified && r.admitted == 0:
				t.Errorf("%s: never admitted", r.name)
			case r.verified:
				r.expectEnd(t, "refused because the kind was not known", r.lastUnknown.Sub(ready), kindUnknownFor)
				r.expectEnd(t, "refused", r.lastRefused.Sub(later(ready, r.lastUnknown)), refusedFor)
			}
		}
	}
}

// expectEnd holds that what was refused was not refused for long.
func (r *restarted) expectEnd(t *testing.T, how string, late, limit time.Duration) {
	t.Helper()
	if late > 0 {
		t.Logf("%s: %s until %s after readiness", r.name, how, late.Round(time.Millisecond))
	}
	if late > limit {
		t.Errorf("%s: %s for %s after readiness, want %s at most", r.name, how, late, limit)
	}
}

// requests are what is tried: whatever starts an image, or leads out of the gate.
func (g pinned) requests(old *corev1.Pod) []request {
	pod := func(verified bool, image, want string) request {
		return request{"a Pod of " + image, verified, func(ctx context.Context, u user) error {
			p := podOf(image)
			p.Namespace, p.GenerateName, p.Name = g.namespace, "", "new"
			if err := u.Create(ctx, p, client.DryRunAll); err != nil {
				return err
			}
			if got := p.Spec.Containers[0].Image; verified && got != want {
				return fmt.Errorf("%w %s", errOtherImage, got)
			}
			return nil
		}}
	}
	debug := func(verified bool, image string) request {
		return request{"an ephemeral container of " + image, verified, func(ctx context.Context, u user) error {
			return u.SubResource("ephemeralcontainers").Update(ctx, withEphemeral(old, image), client.DryRunAll)
		}}
	}
	all := []request{
		pod(true, "app"+at("a"), "app"+at("a")),
		pod(true, "free.example/app:1", "free.example/app:1"),
		pod(false, "app@sha256:"+strings.Repeat("0", 64), ""),
		pod(false, "r.example.com/app:unknown", ""),
		pod(false, "r.example.com/app:bad", ""),
		debug(true, "app"+at("a")),
		debug(false, "app@sha256:"+strings.Repeat("0", 64)),
		{"another image of a Pod", false, func(ctx context.Context, u user) error {
			p := old.DeepCopy()
			p.Spec.Containers[0].Image = "app" + at("b")
			return u.Update(ctx, p, client.DryRunAll)
		}},
		{"a label of a Pod", true, func(ctx context.Context, u user) error {
			p := old.DeepCopy()
			p.Labels["a"] = "c"
			return u.Update(ctx, p, client.DryRunAll)
		}},
	}
	if mutating {
		return append(all, pod(true, "nginx:1", "nginx:1"+at("b")))
	}
	return append(all, pod(false, "nginx:1", ""))
}

// errOtherImage says that a Pod was admitted with another image than it should have.
var errOtherImage = errors.New("admitted as")

// withEphemeral is a Pod with an ephemeral container besides.
func withEphemeral(p *corev1.Pod, image string) *corev1.Pod {
	p = p.DeepCopy()
	p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger", Image: image,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent}})
	return p
}

// restart starts the API server again under requests that never rest, until all of them are
// answered steadily. It returns when the API server said that it is ready.
func (g pinned) restart(t *testing.T, all []request) (ready time.Time, got []*restarted) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	var mu sync.Mutex
	for _, r := range all {
		one := &restarted{request: r, refused: map[string]int{}}
		got = append(got, one)
		u := asAdmin(t)
		asking.Go(func() { one.run(ctx, t, u, &mu) })
	}
	if err := shared.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready = time.Now()
	g.await(t, "everything verified is admitted steadily", func() error {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range got {
			if r.verified && (r.admittedSince.IsZero() || time.Since(later(r.admittedSince, ready)) < steadyFor) {
				return fmt.Errorf("%s: refused: %s", r.name, counts(r.refused))
			}
		}
		return nil
	})
	stop()
	asking.Wait()
	return ready, got
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// run makes the request again and again. While nobody listens nothing is answered.
func (r *restarted) run(ctx context.Context, t *testing.T, u user, mu *sync.Mutex) {
	pace := time.NewTicker(25 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		err := r.ask(ctx, u)
		if ctx.Err() != nil {
			return
		}
		var status apierrors.APIStatus
		mu.Lock()
		answer := err == nil || errors.As(err, &status)
		if !answer {
			r.answered = time.Time{}
		} else if r.answered.IsZero() {
			r.answered = time.Now()
		}
		switch {
		case err == nil:
			r.admitted++
			if r.admittedSince.IsZero() {
				r.admittedSince = time.Now()
			}
		case errors.Is(err, errOtherImage):
			t.Errorf("%s: %v", r.name, err)
		case answer:
			said := status.Status().Message
			if _, why, ok := strings.Cut(said, " denied request: "); ok {
				said = why
			}
			r.refused[fmt.Sprintf("%d %.80s", status.Status().Code, said)]++
			r.admittedSince = time.Time{}
			if strings.Contains(said, kindUnknown) {
				r.lastUnknown = time.Now()
			} else {
				r.lastRefused = time.Now()
			}
		}
		mu.Unlock()
	}
}

func counts(of map[string]int) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%d x %s", of[what], what))
	}
	return strings.Join(all, "; ")
}

// passed writes when a digest passed, as the controller does before it is killed.
func (g *gated) passed(t *testing.T, hex string, at time.Time) {
	t.Helper()
	var known v1alpha1.VerifiedImages
	if err := g.admin.Get(t.Context(), client.ObjectKey{Namespace: g.in.SystemNamespace, Name: g.gate.Name}, &known); err != nil {
		t.Fatal(err)
	}
	known.Digests[hex] = at.UTC().Format(time.RFC3339)
	if err := g.admin.Update(t.Context(), &known); err != nil {
		t.Fatal(err)
	}
}

// Property: with no process of Revet, a verdict expires all the same where Pods are made, and
// everything else is decided as before. Ephemeral containers of a Pod that is older than the
// expiry are not judged by age, which docs/guarantees.md says.
func TestVerdictsExpireWhileNothingOfRevetRuns(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting)
	old := g.oldPod(t)
	g.enforce(t, content()...)
	developer, soon := asDeveloper(t), strings.Repeat("5", 64)
	var expires time.Time
	g.await(t, "a digest that expires soon is admitted", func() error {
		if time.Now().After(expires) {
			expires = time.Now().Add(8 * time.Second).Truncate(time.Second)
			g.passed(t, soon, expires.Add(-g.gate.Spec.MaxAge.Duration))
		}
		return g.try(t, developer, podOf(ref(soon))).err
	})
	asBefore := func() {
		t.Helper()
		for image, by := range map[string]string{
			ref(freshHex): "", ref(ranHex): "", "registry.k8s.io/pause:3": "", ref(unknownHex): "digests", ref(expiredHex): "digests", "nginx:9": "tags",
		} {
			if a := g.try(t, developer, podOf(image)); a.refusedBy(t) != g.named(by) {
				t.Errorf("%s is refused by %q, want %q: %v", image, a.refusedBy(t), g.named(by), a.err)
			}
		}
		for image, by := range map[string]string{ref(freshHex): "", ref(soon): "", ref(unknownHex): "digests", "nginx:9": "tags"} {
			if a := g.debug(t, developer, old, image); a.refusedBy(t) != g.named(by) {
				t.Errorf("an ephemeral container of %s is refused by %q, want %q: %v", image, a.refusedBy(t), g.named(by), a.err)
			}
		}
	}
	asBefore()
	g.await(t, "the verdict expires", func() error {
		if a := g.try(t, developer, podOf(ref(soon))); a.refusedBy(t) != g.policy("digests") {
			return errAdmitted
		}
		return nil
	})
	if now := time.Now(); now.Before(expires) {
		t.Errorf("it is refused at %s, before it expires at %s", now, expires)
	}
	asBefore()
	young := podOf("registry.k8s.io/pause:3")
	young.Namespace, young.GenerateName, young.Name = g.namespace, "", "young"
	g.make(t, young)
	if a := g.debug(t, developer, young, ref(soon)); a.refusedBy(t) != g.policy("digests") {
		t.Errorf("an ephemeral container of a Pod that is younger than the expiry is refused by %q: %v", a.refusedBy(t), a.err)
	}
}
