package sweep

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

// A sweep that is under way serves later requests for the same spec. A request for another
// spec is a sweep of its own, and what the earlier one saw does not count.
func TestRequestsWhileASweepIsUnderWay(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, "v2": {{2, 10}}}))
	begun, release := make(chan struct{}, 4), make(chan struct{})
	w.funcs.List = func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		if _, ok := l.(*imagev1.ImageStreamList); ok {
			begun <- struct{}{}
			<-release
		}
		return c.List(ctx, l, opts...)
	}
	asked := trigger()
	w.sweeper.Request(asked)
	<-begun
	w.sweeper.Request(asked)
	if waiting := w.sweeper.streams.take(); len(waiting) > 0 {
		t.Error("a second sweep of the same spec waits")
	}
	w.sweeper.Request(trigger(func(t *v1alpha1.ImageTrigger) {
		t.Generation, t.Spec.Images[0].Tags.Include = asked.Generation+1, []string{"v2"}
	}))
	close(release)
	<-w.done
	latest, underWay := w.sweeper.Latest(asked.UID)
	if latest == nil || underWay || latest.Generation != asked.Generation+1 || latest.Pushes != 1 {
		t.Errorf("latest %+v, under way: %t", latest, underWay)
	}
}

// Only a Registry may be missing.
func TestNewRefusesWhatIsMissing(t *testing.T) {
	whole := newEnv(t).sweeper.Dependencies
	for _, field := range reflect.VisibleFields(reflect.TypeOf(whole)) {
		d := whole
		reflect.ValueOf(&d).Elem().FieldByIndex(field.Index).SetZero()
		if _, err := New(d, DefaultOptions()); (err == nil) != (field.Name == "Registry") {
			t.Errorf("without %s: %v", field.Name, err)
		}
	}
}

// A push that can never be recorded is a gap that everybody knows of.
func TestAPushThatCannotBeRecordedIsAGap(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	w.funcs.Create = func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if _, ok := o.(*v1alpha1.ImageVerification); ok {
			kind := v1alpha1.GroupVersion.WithKind("ImageVerification").GroupKind()
			return apierrors.NewInvalid(kind, o.GetName(), nil)
		}
		return c.Create(ctx, o, opts...)
	}
	r := w.sweep(trigger())
	if r.Reason != NotRecordable || r.Coverage() != v1alpha1.CoverageGap || r.Gap != 1 || len(r.Unknown) > 0 || r.Retry {
		t.Errorf("%s: %+v", r.Coverage(), r)
	}
}

// A push that its entry may have forgotten is not known to be covered, and not known to be a gap;
// nobody tries again in vain.
func TestAPushThatMayBeForgottenIsNotKnown(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	w.sweep(trigger())
	var all v1alpha1.ImageVerificationList
	if err := w.client.List(t.Context(), &all); err != nil || len(all.Items) != 1 {
		t.Fatalf("%d entries, %v", len(all.Items), err)
	}
	_, err := w.ledger.UpdateStatus(t.Context(), &all.Items[0], func(s *v1alpha1.ImageVerificationStatus) {
		s.MoreTags = &v1alpha1.MoreTags{Forgotten: 1, ForgottenThrough: &metav1.Time{Time: noon.Add(time.Hour)}}
	})
	if err != nil {
		t.Fatal(err)
	}
	is := stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, "v2": {{1, 10}}})
	var before imagev1.ImageStream
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(is), &before); err != nil {
		t.Fatal(err)
	}
	is.ResourceVersion = before.ResourceVersion
	if err := w.client.Update(t.Context(), is); err != nil {
		t.Fatal(err)
	}
	r := w.sweep(trigger())
	if r.Reason != TooManyTags || r.Coverage() != v1alpha1.CoverageNotKnown || r.Pushes != 2 || r.Gap != 1 || r.Retry || len(r.Unknown) != 1 || r.Unknown[0].Cure == "" {
		t.Errorf("%s: %+v", r.Coverage(), r)
	}
}

// A push of which nobody can tell whether the account may see it may be a gap, or none of the
// trigger's business.
func TestAPushThatNobodyCanBeAskedAboutIsNotKnown(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	w.unasked = errors.New("timeout")
	r := w.sweep(trigger())
	if r.Pushes != 1 || r.Gap != 1 || r.Unread != 1 || r.Coverage() != v1alpha1.CoverageNotKnown {
		t.Errorf("%s: %+v", r.Coverage(), r)
	}
}

// A push that only a registry can tell about is recorded where registries are not swept, and a
// registry that asks for no more requests is asked about no other push.
func TestDoubtfulPushesAreRecordedWithoutTheirRegistry(t *testing.T) {
	doubtful := map[string][]item{"v1": {{1, 10}}, "v2": {{2, 10}}, "v3": {{3, 10}}}
	for _, test := range []struct {
		name   string
		change func(*env)
		asked  int
	}{
		{"sweeps of registries are off", func(w *env) { w.sweeper.Registry = nil }, 0},
		{"it asks for no more requests", func(w *env) {
			w.registry.refuse["content"] = &source.RetryAfterError{Until: at(7200), Err: errors.New("429")}
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t, stream("team-a", "app", doubtful))
			w.sweeper.options.Concurrency = 1
			for n := range 3 {
				w.forged[digest(n+1)] = true
			}
			test.change(w)
			if r := w.sweep(trigger()); r.Recovered != 3 || r.Gap != 0 || w.registry.contents != test.asked {
				t.Errorf("asked %d times, want %d: %+v", w.registry.contents, test.asked, r)
			}
		})
	}
}

// A list that begins again shows a push twice, which is asked about once.
func TestADoubtfulPushIsAskedAboutOnce(t *testing.T) {
	var d doubtful
	p := push.Push{Repository: push.Repository{Name: "team-a/app"}, Tag: "v1", Digest: digest(1), PushedAt: noon}
	other := p
	other.PushedAt = at(1)
	for _, p := range []push.Push{p, other, p} {
		d.add(p)
	}
	if len(d.pushes) != 2 {
		t.Errorf("%d pushes, want 2: %v", len(d.pushes), d.pushes)
	}
}

// What is not known of streams and of registries for the same reason is counted together.
func TestMetricsAddUpWhatIsNotKnown(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	w.funcs.List = func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return errors.New("connection refused")
	}
	w.registry.refuse[repositoryA] = errors.New("connection refused")
	asked := trigger()
	asked.Spec.Images = append(asked.Spec.Images, registries(repositoryA).Spec.Images...)
	w.sweep(asked)
	w.sweeper.Metrics.mu.Lock()
	defer w.sweeper.Metrics.mu.Unlock()
	if got := w.sweeper.Metrics.reports[asked.UID].unknown[ReadFailed]; got != 2 {
		t.Errorf("%d reads failed, want 2", got)
	}
}
