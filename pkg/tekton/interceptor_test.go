package tekton

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	triggersv1alpha1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Property: a listener takes requests of Revet alone if it names exactly Revet's interceptor, and
// that is where Revet's is. Any other is told, with its cure, and stops nothing that worked before.
func TestOnlyRevetsOwnInterceptorIsKnown(t *testing.T) {
	type interceptors = []*triggersv1beta1.TriggerInterceptor
	named := func(change func(*triggersv1beta1.TriggerInterceptor)) interceptors {
		i := ownRef()
		change(i)
		return interceptors{i}
	}
	cel := &triggersv1beta1.TriggerInterceptor{Ref: triggersv1beta1.InterceptorRef{Name: "cel"}}
	for _, test := range []struct {
		name   string
		these  interceptors
		object func(*triggersv1alpha1.ClusterInterceptor)
		gone   bool
		want   []FindingReason
		stops  bool
	}{
		{name: "Revet's", these: interceptors{ownRef()}},
		{name: "its kind left out", these: named(func(i *triggersv1beta1.TriggerInterceptor) { i.Ref.Kind = "" })},
		{name: "none", want: []FindingReason{RequestsNotAuthenticated}},
		{name: "another one alone", these: interceptors{cel}, want: []FindingReason{InterceptorsNotChecked}},
		{name: "another one besides", these: interceptors{ownRef(), cel}, want: []FindingReason{InterceptorsNotChecked}},
		{name: "one of that name in the namespace", these: named(func(i *triggersv1beta1.TriggerInterceptor) {
			i.Ref.Kind = triggersv1beta1.NamespacedInterceptorKind
		}), want: []FindingReason{InterceptorsNotChecked}},
		{name: "one of that name of another group", these: named(func(i *triggersv1beta1.TriggerInterceptor) {
			i.Ref.APIVersion = "example.com/v1"
		}), want: []FindingReason{InterceptorsNotChecked}},
		{name: "a webhook, for which the reference does not count", these: named(func(i *triggersv1beta1.TriggerInterceptor) {
			i.Webhook = &triggersv1beta1.WebhookInterceptor{ObjectRef: &corev1.ObjectReference{Kind: "Service", Name: "mine"}}
		}), want: []FindingReason{InterceptorsNotChecked}},
		{name: "it is not there", these: interceptors{ownRef()}, gone: true, want: []FindingReason{InterceptorNotFound}, stops: true},
		{name: "it leads to another Service", these: interceptors{ownRef()}, object: func(o *triggersv1alpha1.ClusterInterceptor) {
			o.Spec.ClientConfig.Service.Name = "mine"
		}, want: []FindingReason{InterceptorsNotChecked}},
		{name: "it leads to another namespace", these: interceptors{ownRef()}, object: func(o *triggersv1alpha1.ClusterInterceptor) {
			o.Spec.ClientConfig.Service.Namespace = "team-a"
		}, want: []FindingReason{InterceptorsNotChecked}},
		{name: "it leads to an address", these: interceptors{ownRef()}, object: func(o *triggersv1alpha1.ClusterInterceptor) {
			o.Spec.ClientConfig.URL = apis.HTTP("example.com") // which goes before the Service
		}, want: []FindingReason{InterceptorsNotChecked}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listener{open: true, change: func(el *triggersv1beta1.EventListener) { el.Spec.Triggers[0].Interceptors = test.these }}
			own := ownInterceptor()
			if test.object != nil {
				test.object(own)
			}
			if !test.gone {
				l.objects = append(l.objects, own)
			}
			report, err := NewChecker(newTestClient(t, l.build(t)...), testPolicy, "revet-system").Check(t.Context(), trigger("kata"))
			if err != nil {
				t.Fatal(err)
			}
			var got []FindingReason
			for _, f := range report.Findings {
				got = append(got, f.Reason)
				if f.Reason == RequestsNotAuthenticated && !strings.Contains(f.Message, "name: revet") {
					t.Errorf("it names no cure: %s", f.Message)
				}
			}
			if !slices.Equal(got, test.want) || report.Confirmable() == test.stops {
				t.Errorf("found %v, confirmable %t; want %v", report.Findings, report.Confirmable(), test.want)
			}
		})
	}
}

// A Trigger of a group is guarded by the group's interceptors.
func TestAGroupsInterceptorGuardsItsTriggers(t *testing.T) {
	l := byGroup(t)
	change := l.change
	l.change = func(el *triggersv1beta1.EventListener) {
		change(el)
		el.Spec.TriggerGroups[0].Interceptors = []*triggersv1beta1.TriggerInterceptor{ownRef()}
	}
	for _, o := range l.objects {
		if one, ok := o.(*triggersv1beta1.Trigger); ok {
			one.Spec.Interceptors = nil
		}
	}
	report, err := NewChecker(newTestClient(t, l.build(t)...), testPolicy, "revet-system").Check(t.Context(), trigger("kata"))
	if err != nil || !report.Confirmable() || len(report.Findings) > 0 {
		t.Errorf("found %v, %v", report.Findings, err)
	}
}

// Two triggers behind Revet's interceptor both start a run of each request: it filters nothing.
func TestRevetsInterceptorDoesNotTellTriggersApart(t *testing.T) {
	l := listener{change: func(el *triggersv1beta1.EventListener) {
		el.Spec.Triggers = append(el.Spec.Triggers, el.Spec.Triggers[0])
	}}
	report, err := NewChecker(newTestClient(t, l.build(t)...), testPolicy, "revet-system").Check(t.Context(), trigger("kata"))
	if refusal, refused := report.Refusal(); err != nil || !refused || refusal.Reason != RunsMoreThanOnce {
		t.Errorf("found %v, %v; want RunsMoreThanOnce", report.Findings, err)
	}
}

// Who may not read the object is told what it cannot know; an API server that is away is an error.
func TestAnInterceptorThatCannotBeRead(t *testing.T) {
	away := errors.New("connection refused")
	for _, test := range []struct {
		err  error
		want FindingReason
	}{
		{apierrors.NewForbidden(schema.GroupResource{Resource: "clusterinterceptors"}, "revet", nil), InterceptorsNotChecked},
		{away, ""},
	} {
		c := interceptor.NewClient(newTestClient(t, listener{}.build(t)...), interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if _, ok := o.(*triggersv1alpha1.ClusterInterceptor); ok {
					return test.err
				}
				return c.Get(ctx, key, o, opts...)
			},
		})
		report, err := NewChecker(c, testPolicy, "revet-system").Check(t.Context(), trigger("kata"))
		if test.want == "" {
			if !errors.Is(err, away) {
				t.Errorf("error %v, want the API server's", err)
			}
			continue
		}
		if err != nil || !report.Confirmable() || len(report.Findings) != 1 || report.Findings[0].Reason != test.want {
			t.Errorf("found %v, %v", report.Findings, err)
		}
	}
}
