package triggers_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/template"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/eventfilter"
	"knative.dev/eventing/pkg/eventfilter/subscriptionsapi"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/events"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// document finds an object of docs/examples/deliver/event.yaml by its kind, and decodes it.
func document(t *testing.T, kind string, into any) {
	t.Helper()
	raw, err := os.ReadFile("../../docs/examples/deliver/event.yaml")
	if err != nil {
		t.Fatal(err)
	}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			t.Fatalf("there is no %s", kind)
		}
		if err != nil {
			t.Fatal(err)
		}
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(text, &meta); err != nil {
			t.Fatal(err)
		}
		if meta.Kind != kind {
			continue
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		return
	}
}

// verified is an entry of shop-images whose push passed.
func verified() *v1alpha1.ImageVerification {
	now := metav1.NewTime(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
	push := v1alpha1.PushRecord{Tag: commit, PushedAt: now, Source: v1alpha1.SourceEvent}
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-images", Name: "web-1", UID: "11111111-1111-4111-8111-111111111111"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "shop", UID: "22"},
			Repository: v1alpha1.RepositoryReference{Name: "shop-images/web", Pull: "registry:5000/shop-images/web"},
			Digest:     digest, FirstPush: push, Image: &v1alpha1.ImageFacts{ClaimedRevision: commit},
		},
		Status: v1alpha1.ImageVerificationStatus{
			Tags: []v1alpha1.TagStatus{{PushRecord: push, Run: 1}},
			Runs: []v1alpha1.RunStatus{{Number: 1, Name: "web-run", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush},
				StartedAt: &now, FinishedAt: &now, Outcome: v1alpha1.OutcomePass}},
			Verdict: &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "web-run", Number: 1},
		},
	}
}

// Knative's own filter lets through one event of an image that passed, and none of one that
// failed, that claims nothing, that somebody replays, or that another namespace verifies.
func TestTheExampleSubscribesToWhatPassed(t *testing.T) {
	var trigger eventingv1.Trigger
	document(t, "Trigger", &trigger)
	if err := trigger.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	filter := subscriptionsapi.CreateSubscriptionsAPIFilters(zap.NewNop(), trigger.Spec.Filters)
	for name, test := range map[string]struct {
		change func(*v1alpha1.ImageVerification)
		want   int
	}{
		"a push that passed":           {func(*v1alpha1.ImageVerification) {}, 1},
		"a run that was repeated":      {func(e *v1alpha1.ImageVerification) { e.Status.Runs[0].Cause.Type = v1alpha1.CauseRetry }, 1},
		"a replay":                     {func(e *v1alpha1.ImageVerification) { e.Status.Runs[0].Cause.Type = v1alpha1.CauseManual }, 0},
		"an image without a revision":  {func(e *v1alpha1.ImageVerification) { e.Spec.Image.ClaimedRevision = "" }, 0},
		"an image of another place":    {func(e *v1alpha1.ImageVerification) { e.Namespace = "shop-images-2" }, 0},
		"a run that has not ended yet": {func(e *v1alpha1.ImageVerification) { e.Status.Runs[0].Outcome = "" }, 0},
		"a verdict that failed": {func(e *v1alpha1.ImageVerification) {
			e.Status.Runs[0].Outcome, e.Status.Verdict.Outcome = v1alpha1.OutcomeFail, v1alpha1.OutcomeFail
		}, 0},
		"a run without a verdict": {func(e *v1alpha1.ImageVerification) { e.Status.Verdict = nil }, 0},
	} {
		entry := verified()
		test.change(entry)
		passed := 0
		for _, e := range events.Derive(entry) {
			c, err := e.CloudEvent()
			if err != nil {
				t.Fatal(err)
			}
			if filter.Filter(t.Context(), *c) == eventfilter.PassFilter {
				passed++
			}
		}
		if passed != test.want {
			t.Errorf("%s: %d events pass, want %d", name, passed, test.want)
		}
	}
}

// A Broker sends to port 80 of a Service, on which listeners do not listen unless they are told.
// Elsewhere nobody answers, and the Broker would hold up its other subscribers.
func TestTheBrokerReachesTheListener(t *testing.T) {
	var trigger eventingv1.Trigger
	document(t, "Trigger", &trigger)
	var listener triggersv1.EventListener
	document(t, "EventListener", &listener)
	to := trigger.Spec.Subscriber.Ref
	if to == nil || to.Kind != "Service" || to.Name != "el-"+listener.Name || to.Namespace != listener.Namespace {
		t.Fatalf("the Trigger's subscriber is %+v", to)
	}
	if port := listener.Spec.Resources.KubernetesResource.ServicePort; port == nil || *port != 80 {
		t.Errorf("the listener's port is %v", port)
	}
}

// Tekton's own code makes one run of an event, whose name is the revision's, and none of an
// event without one.
func TestTheExampleNamesTheReleaseByItsRevision(t *testing.T) {
	var binding triggersv1.TriggerBinding
	var made triggersv1.TriggerTemplate
	document(t, "TriggerBinding", &binding)
	document(t, "TriggerTemplate", &made)
	resolved := template.ResolvedTrigger{BindingParams: binding.Spec.Params, TriggerTemplate: &made}
	params, err := template.ResolveParams(resolved, []byte("{}"), http.Header{"Ce-Imagerevision": {commit}}, nil, template.NewTriggerContext("event"))
	if err != nil {
		t.Fatal(err)
	}
	objects := template.ResolveResources(resolved.TriggerTemplate, params)
	if len(objects) != 1 {
		t.Fatalf("the template makes %d objects", len(objects))
	}
	run := decodeRun(t, objects[0])
	if run.Name != "release-"+commit || run.Spec.PipelineRef.Name != "release" {
		t.Errorf("the event makes %s of %+v", run.Name, run.Spec.PipelineRef)
	}
	var revision *pipelinev1.Param
	for i := range run.Spec.Params {
		if run.Spec.Params[i].Name == "revision" {
			revision = &run.Spec.Params[i]
		}
	}
	if revision == nil || revision.Value.StringVal != commit {
		t.Errorf("the run's revision is %+v", revision)
	}
	if _, err := template.ResolveParams(resolved, []byte("{}"), http.Header{}, nil, template.NewTriggerContext("event")); err == nil {
		t.Error("an event without a revision makes a run")
	}
}
