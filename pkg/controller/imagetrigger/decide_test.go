package imagetrigger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func testTrigger() *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "all", UID: "trigger", Generation: 3, CreationTimestamp: metav1.NewTime(noon)},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:  []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
			Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{APIVersion: "triggers.tekton.dev/v1beta1", Kind: "EventListener", Name: "scan"}},
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: "kata"},
		},
	}
}

// well is what a pass sees if all is as it should be.
func well() observed {
	account := source.Account{Namespace: "team-a", Name: "default"}
	return observed{
		uri:    "http://el-scan.team-a.svc.cluster.local:8080",
		report: tekton.Report{Checked: true},
		rights: rights{account: account, streams: true, selected: 1, visible: 1},
		sweep:  &sweep.Result{Generation: 3, StartedAt: noon, FinishedAt: noon.Add(time.Second), Repositories: 7, Recovered: 2, Baselines: []string{"r/x"}},
	}
}

func TestDecide(t *testing.T) {
	const isTrue, isFalse, isUnknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	type want struct {
		ready       metav1.ConditionStatus
		reason      string
		condition   string
		status      metav1.ConditionStatus
		cure        string
		confirmable bool
	}
	for _, test := range []struct {
		name   string
		change func(*observed)
		want   want
	}{
		{"all well", func(*observed) {},
			want{isTrue, "Ready", v1alpha1.ConditionAuthorized, isTrue, "1 selected namespaces", true}},
		{"a selector that does not compile", func(o *observed) {
			o.selectorErr = &selector.FieldError{Field: "spec.images[0].tags.include[1]", Err: errors.New("bad")}
		}, want{isFalse, "SelectorInvalid", v1alpha1.ConditionFilterValid, isFalse, "spec.images[0].tags.include[1]", true}},
		{"a filter that does not compile", func(o *observed) { o.filterErr = errors.New("undeclared reference to 'imge'") },
			want{isFalse, "FilterInvalid", v1alpha1.ConditionFilterValid, isFalse, "spec.filter: undeclared reference", true}},
		{"a sink without an address", func(o *observed) {
			o.uri, o.sinkErr = "", &tekton.SinkError{Reason: tekton.SinkNotReady, Message: "wait for it"}
		}, want{isFalse, "SinkNotReady", v1alpha1.ConditionSinkResolved, isFalse, "wait for it", true}},
		{"a template that is refused", func(o *observed) {
			o.report.Findings = []tekton.Finding{
				{Reason: tekton.InterceptorsNotChecked, Message: "a warning"},
				{Reason: tekton.GenerateName, Message: "write metadata.name", Refuses: true}}
		}, want{isFalse, "GenerateName", v1alpha1.ConditionTemplateAccepted, isFalse, "write metadata.name", false}},
		{"a template with a warning only", func(o *observed) {
			o.report.Findings = []tekton.Finding{{Reason: tekton.ListenerNotReady, Message: "b"}, {Reason: tekton.RequestsNotAuthenticated, Message: "a warning"}}
		}, want{isTrue, "Ready", v1alpha1.ConditionTemplateAccepted, isTrue, "a warning", true}},
		{"a sink that cannot be looked into is used, once for each run", func(o *observed) {
			o.report = tekton.Report{Findings: []tekton.Finding{{Reason: tekton.NotCheckable, Message: "a Broker"}}}
		}, want{isTrue, "Ready", v1alpha1.ConditionTemplateAccepted, isUnknown, "a Broker", false}},
		{"nothing known of the template", func(o *observed) { o.report = tekton.Report{} },
			want{isTrue, "Ready", v1alpha1.ConditionTemplateAccepted, isUnknown, "did not inspect", false}},
		{"an exclusion that cannot be read", func(o *observed) { o.sandboxErr = errors.New("spec.sandbox.exclude[0].images: no") },
			want{isFalse, "SandboxInvalid", v1alpha1.ConditionFilterValid, isFalse, "exclude[0]", true}},
		{"a RuntimeClass that is not there; runs that were requested go on", func(o *observed) { o.classMissing = true },
			want{isFalse, "RuntimeClassNotFound", v1alpha1.ConditionTemplateAccepted, isFalse, "kubectl get runtimeclasses", true}},
		{"no service account", func(o *observed) { o.rights.accountMissing = true },
			want{isFalse, "ServiceAccountNotFound", v1alpha1.ConditionAuthorized, isFalse, "kubectl create serviceaccount default -n team-a", true}},
		{"a listener that may not create runs", func(o *observed) {
			o.rights.runners = []source.Account{{Namespace: "team-a", Name: "el"}}
		}, want{isFalse, "RunsNotAllowed", v1alpha1.ConditionAuthorized, isFalse,
			"kubectl create rolebinding el-runs -n team-a --clusterrole=tekton-triggers-eventlistener-roles --serviceaccount=team-a:el", true}},
		{"streams that are not visible", func(o *observed) { o.rights.visible, o.rights.hidden = 0, []string{"team-a"} },
			want{isFalse, "StreamsNotVisible", v1alpha1.ConditionAuthorized, isFalse,
				"kubectl create role imagestream-reader -n team-a --verb=get --resource=imagestreams.image.openshift.io && " +
					"kubectl create rolebinding imagestream-reader-team-a-default -n team-a --role=imagestream-reader --serviceaccount=team-a:default", true}},
		{"some namespaces that are not visible", func(o *observed) {
			o.rights.selected, o.rights.hidden = 6, []string{"b", "c", "d", "e", "f"}
		}, want{isTrue, "Ready", v1alpha1.ConditionAuthorized, isTrue, `1 of 6 selected namespaces are visible to service account "default"; not those of namespaces "b", "c", "d" and 2 more`, true}},
		{"selectors that select no namespace", func(o *observed) { o.rights.selected, o.rights.visible = 0, 0 },
			want{isFalse, "NoNamespaceSelected", v1alpha1.ConditionAuthorized, isFalse, "namespaceSelector", true}},
		{"all namespaces", func(o *observed) { o.rights.everywhere, o.rights.selected = true, 0 },
			want{isTrue, "Ready", v1alpha1.ConditionAuthorized, isTrue, "all namespaces", true}},
		{"registries only", func(o *observed) { o.rights.streams, o.rights.selected = false, 0 },
			want{isTrue, "Ready", v1alpha1.ConditionAuthorized, isTrue, "", true}},
		{"a sweep that did not see everything does not make it unready", func(o *observed) {
			o.sweep.Reason, o.sweep.Message = sweep.RegistryNotSwept, "no catalogue"
		}, want{isTrue, "Ready", v1alpha1.ConditionSwept, isFalse, "no catalogue", true}},
		{"a listener that has an address and says that it is not ready", func(o *observed) {
			o.report.Findings = []tekton.Finding{{Reason: tekton.ListenerNotReady, Message: "no Pod is available"}}
		}, want{isTrue, "Ready", v1alpha1.ConditionSinkResolved, isTrue, "no Pod is available", true}},
		{"runs that do not appear do not make it unready, as sending again is the cure", func(o *observed) {
			o.trouble, o.troubleMessage = "Unconfirmed", "see the listener's log"
		}, want{isTrue, "Ready", v1alpha1.ConditionConfirmed, isFalse, "see the listener's log", true}},
		{"runs that all appear", func(*observed) {}, want{isTrue, "Ready", v1alpha1.ConditionConfirmed, isTrue, "", true}},
		{"a complete sweep", func(*observed) {}, want{isTrue, "Ready", v1alpha1.ConditionSwept, isTrue, "7 repositories", true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := well()
			test.change(&seen)
			trigger := testTrigger()
			before := trigger.DeepCopy()
			got := decide(trigger, seen, noon)
			if diff := cmp.Diff(before, trigger); diff != "" {
				t.Errorf("the trigger itself was changed:\n%s", diff)
			}
			ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
			if ready == nil || ready.Status != test.want.ready || ready.Reason != test.want.reason {
				t.Errorf("Ready is %+v, want %s %s", ready, test.want.ready, test.want.reason)
			}
			c := meta.FindStatusCondition(got.Status.Conditions, test.want.condition)
			if c == nil || c.Status != test.want.status || !strings.Contains(c.Message, test.want.cure) || c.ObservedGeneration != 3 {
				t.Errorf("%s is %+v, want %s with %q", test.want.condition, c, test.want.status, test.want.cure)
			}
			if got.Status.Confirmable != test.want.confirmable {
				t.Errorf("confirmable %v", got.Status.Confirmable)
			}
			if got.Status.ObservedGeneration != 3 {
				t.Errorf("observedGeneration %d", got.Status.ObservedGeneration)
			}
		})
	}
}

// A class that is missing keeps a trigger from being ready only where nothing may
// run without it; that it is missing is told either way.
func TestDecideOnAClassThatIsMissing(t *testing.T) {
	for _, test := range []struct {
		fallback v1alpha1.FallbackPolicy
		ready    bool
		says     string
	}{
		{"", false, "nothing runs until there is"},
		{v1alpha1.FallbackRefuse, false, "nothing runs until there is"},
		{v1alpha1.FallbackDefault, true, "runs execute in the default runtime"},
	} {
		trigger, seen := testTrigger(), well()
		trigger.Spec.Sandbox.Fallback = test.fallback
		seen.classMissing = true
		got := decide(trigger, seen, noon)
		got.Status.ObservedGeneration = got.Generation
		if got.IsReady() != test.ready || !got.IsSandboxMissing() {
			t.Errorf("fallback %q: ready %v, missing %v; conditions %+v", test.fallback, got.IsReady(), got.IsSandboxMissing(), got.Status.Conditions)
		}
		c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionSandboxAvailable)
		if c == nil || c.Reason != "RuntimeClassNotFound" || !strings.Contains(c.Message, test.says) {
			t.Errorf("fallback %q: SandboxAvailable is %+v", test.fallback, c)
		}
		seen.classMissing = false
		if back := decide(got, seen, noon); !back.IsReady() || back.IsSandboxMissing() {
			t.Errorf("fallback %q: the class is back, and the conditions are %+v", test.fallback, back.Status.Conditions)
		}
	}
}

// The same observations twice write the same status, or every pass would write.
func TestDecideIsStable(t *testing.T) {
	once := decide(testTrigger(), well(), noon)
	twice := decide(once, well(), noon.Add(time.Hour))
	if diff := cmp.Diff(once, twice); diff != "" {
		t.Errorf("status (-once +twice):\n%s", diff)
	}
}

// A process that has not swept yet leaves what another one wrote.
func TestStatusOfAnEarlierSweepStays(t *testing.T) {
	swept := decide(testTrigger(), well(), noon)
	seen := well()
	seen.sweep = nil
	if diff := cmp.Diff(swept.Status, decide(swept, seen, noon).Status); diff != "" {
		t.Errorf("status (-before +after):\n%s", diff)
	}
}
