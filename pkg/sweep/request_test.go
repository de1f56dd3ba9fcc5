package sweep

import (
	"context"
	"errors"
	"reflect"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
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
