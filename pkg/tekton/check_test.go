package tekton

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	triggersv1alpha1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

// goodRun is a template as it should be.
const goodRun = `{
  apiVersion: tekton.dev/v1, kind: PipelineRun,
  metadata: {
    name: $(tt.params.run),
    labels: {revet.dev/run: $(tt.params.run)},
    annotations: {revet.dev/entry-uid: $(tt.params.entryUID), revet.dev/digest: $(tt.params.digest)}},
  spec: {
    pipelineRef: {name: scan},
    params: [{name: reference, value: $(tt.params.reference)}],
    taskRunTemplate: {podTemplate: {runtimeClassName: $(tt.params.class)}}}}`

var goodParams = []string{
	"run=$(body.run)", "entryUID=$(body.entryUID)", "digest=$(body.image.digest)",
	"reference=$(body.image.reference)", "class=$(body.sandbox.runtimeClassName)",
}

// listener describes an EventListener with one trigger, and what it refers to.
type listener struct {
	// edit changes the good template's text; each pair is old, new.
	edit []string
	// params replace, or add to, the good bindings: name=value; "name=" drops one.
	params []string
	// defaults are of the template's parameters: name=value.
	defaults []string
	// before and after are further resources.
	before, after []string
	// interceptors are others than Revet's own; open leaves that out.
	interceptors, open bool
	// change is the last word.
	change func(*triggersv1beta1.EventListener)
	// objects are further objects.
	objects []client.Object
}

func (l listener) build(t *testing.T) []client.Object {
	t.Helper()
	trigger := triggersv1beta1.EventListenerTrigger{Name: "revet", Bindings: bindings(l.params), Template: l.template(t)}
	if !l.open {
		trigger.Interceptors = []*triggersv1beta1.TriggerInterceptor{ownRef()}
	}
	if l.interceptors {
		trigger.Interceptors = append(trigger.Interceptors, &triggersv1beta1.TriggerInterceptor{Ref: triggersv1beta1.InterceptorRef{Name: "cel"}})
	}
	el := &triggersv1beta1.EventListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "scan"},
		Spec:       triggersv1beta1.EventListenerSpec{ServiceAccountName: "runner", Triggers: []triggersv1beta1.EventListenerTrigger{trigger}},
	}
	if l.change != nil {
		l.change(el)
	}
	if !l.open {
		l.objects = append([]client.Object{ownInterceptor()}, l.objects...)
	}
	return append([]client.Object{el}, l.objects...)
}

// ownRef and ownInterceptor are how a listener names Revet's interceptor, and what it names.
func ownRef() *triggersv1beta1.TriggerInterceptor {
	return &triggersv1beta1.TriggerInterceptor{Ref: triggersv1beta1.InterceptorRef{Kind: triggersv1beta1.ClusterInterceptorKind, Name: InterceptorName}}
}

func ownInterceptor() *triggersv1alpha1.ClusterInterceptor {
	return &triggersv1alpha1.ClusterInterceptor{
		ObjectMeta: metav1.ObjectMeta{Name: InterceptorName},
		Spec: triggersv1alpha1.ClusterInterceptorSpec{ClientConfig: triggersv1alpha1.ClientConfig{
			Service: &triggersv1alpha1.ServiceReference{Namespace: "revet-system", Name: InterceptorService},
		}},
	}
}

func (l listener) template(t *testing.T) *triggersv1beta1.EventListenerTemplate {
	t.Helper()
	run := strings.NewReplacer(l.edit...).Replace(goodRun)
	if len(l.edit) > 0 && run == goodRun {
		t.Fatalf("the edit %q changes nothing", l.edit)
	}
	spec := &triggersv1beta1.TriggerTemplateSpec{}
	for _, d := range l.defaults {
		name, value, _ := strings.Cut(d, "=")
		spec.Params = append(spec.Params, triggersv1beta1.ParamSpec{Name: name, Default: &value})
	}
	for _, text := range append(append(l.before, run), l.after...) {
		raw, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatalf("template %s: %v", text, err)
		}
		var rt triggersv1beta1.TriggerResourceTemplate
		if err := json.Unmarshal(raw, &rt); err != nil {
			t.Fatal(err)
		}
		spec.ResourceTemplates = append(spec.ResourceTemplates, rt)
	}
	return &triggersv1beta1.EventListenerTemplate{Spec: spec}
}

func bindings(changes []string) []*triggersv1beta1.TriggerSpecBinding {
	all := map[string]string{}
	var order []string
	for _, p := range append(append([]string{}, goodParams...), changes...) {
		name, value, _ := strings.Cut(p, "=")
		if _, ok := all[name]; !ok {
			order = append(order, name)
		}
		all[name] = value
	}
	var list []*triggersv1beta1.TriggerSpecBinding
	for _, name := range order {
		if value := all[name]; value != "" {
			list = append(list, &triggersv1beta1.TriggerSpecBinding{Name: name, Value: &value})
		}
	}
	return list
}

func trigger(class string) *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "all"},
		Spec: v1alpha1.ImageTriggerSpec{
			Sink:    ref("triggers.tekton.dev/v1beta1", "EventListener", "scan"),
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: class},
		},
	}
}

func TestCheck(t *testing.T) {
	other := func(l listener) triggersv1beta1.EventListenerTrigger {
		return l.build(t)[0].(*triggersv1beta1.EventListener).Spec.Triggers[0]
	}
	type want struct {
		checked     bool
		confirmable bool
		reasons     []FindingReason
	}
	good := want{checked: true, confirmable: true}
	refused := func(reasons ...FindingReason) want { return want{checked: true, reasons: reasons} }
	unknown := want{reasons: []FindingReason{NotCheckable}}
	excluding := func(s *v1alpha1.Sandbox) {
		s.Exclude = []v1alpha1.SandboxExclusion{{Images: "team-a/**", Reason: "it needs io_uring"}}
	}
	placed := func(s *v1alpha1.Sandbox) {
		s.NodeSelector = map[string]v1alpha1.LabelValue{"example.com/pool": "scans"}
		s.Tolerations = []v1alpha1.Toleration{{Key: "scans", Value: "only", Effect: "NoSchedule"}}
		s.RunTimeout = &metav1.Duration{Duration: 10 * time.Minute}
	}
	around := listener{
		edit:   []string{"runtimeClassName: $(tt.params.class)", "$(tt.params.field): $(tt.params.value)"},
		params: []string{"class=", "field=$(body.sandbox.podField)", "value=$(body.sandbox.podValue)"},
	}
	for _, test := range []struct {
		name     string
		listener listener
		noClass  bool
		sandbox  func(*v1alpha1.Sandbox)
		want     want
	}{
		{name: "a template as it should be", want: good},
		{name: "the run's name from the event's id", listener: listener{params: []string{"run=$(header.Ce-Id)"}}, want: good},
		{name: "braces and dots in a path", listener: listener{params: []string{"run=$({.body.run})"}}, want: good},
		{name: "the digest alone as the pipeline's parameter", listener: listener{edit: []string{"value: $(tt.params.reference)", "value: $(tt.params.digest)"}}, want: good},
		{name: "the class written into the template", listener: listener{edit: []string{"$(tt.params.class)", "kata"}}, want: good},
		{name: "the class of a v1beta1 PipelineRun", listener: listener{edit: []string{"tekton.dev/v1,", "tekton.dev/v1beta1,", "taskRunTemplate: {podTemplate: {runtimeClassName: $(tt.params.class)}}", "podTemplate: {runtimeClassName: $(tt.params.class)}"}}, want: good},
		{name: "a default class, and a trigger that asks for none", noClass: true, listener: listener{defaults: []string{"class=kata"}}, want: good},
		{name: "no class at all, and a trigger that asks for none", noClass: true, listener: listener{edit: []string{"runtimeClassName: $(tt.params.class)", "hostNetwork: false"}, params: []string{"class="}}, want: good},
		{name: "a trigger that asks for no class, which the binding reads", noClass: true, want: refused(ParamUnresolved)},

		{name: "generateName instead of a name", listener: listener{edit: []string{"name: $(tt.params.run),\n", "generateName: scan-,\n"}}, want: refused(GenerateName)},
		{name: "a name of its own", listener: listener{edit: []string{"name: $(tt.params.run),\n", "name: scan,\n"}}, want: refused(NameNotRun)},
		{name: "a name with something before it", listener: listener{edit: []string{"name: $(tt.params.run),\n", "name: scan-$(tt.params.run),\n"}}, want: refused(NameNotRun)},
		{name: "a name with the listener's own random id", listener: listener{edit: []string{"name: $(tt.params.run),\n", "name: scan-$(uid),\n"}}, want: refused(NameNotRun)},
		{name: "a name from the digest, which repeats", listener: listener{params: []string{"run=$(body.image.digest)"}}, want: refused(NameNotRun, LabelMissing)},
		{name: "a parameter that nothing binds", listener: listener{params: []string{"run="}}, want: refused(NameNotRun, LabelMissing)},
		{name: "a binding of a field that requests never have", listener: listener{params: []string{"run=$(body.runName)"}}, want: refused(ParamUnresolved)},
		{name: "a binding of a label that not every image has", listener: listener{params: []string{"tier=$(body.image.labels.tier)"}}, want: refused(ParamUnresolved)},
		{name: "the same with a default", listener: listener{params: []string{"tier=$(body.image.labels.tier)"}, defaults: []string{"tier=none"}}, want: good},
		{name: "a label of hostile content in an annotation", listener: listener{
			params: []string{"tier=$(body.image.labels.tier)"}, defaults: []string{"tier=none"},
			edit: []string{"annotations: {", "annotations: {tier: $(tt.params.tier), "}}, want: good},
		{name: "a list spliced into a text", listener: listener{params: []string{"tags=$(body.image.tags)"}, edit: []string{"annotations: {", "annotations: {tags: $(tt.params.tags), "}}, want: refused(TemplateUnreadable)},
		{name: "no label", listener: listener{edit: []string{"labels: {revet.dev/run: $(tt.params.run)}", "labels: {}"}}, want: refused(LabelMissing)},
		{name: "no entry-uid", listener: listener{edit: []string{"revet.dev/entry-uid: $(tt.params.entryUID), ", ""}}, want: refused(AnnotationMissing)},
		{name: "a digest annotation with the reference", listener: listener{edit: []string{"revet.dev/digest: $(tt.params.digest)", "revet.dev/digest: $(tt.params.reference)"}}, want: refused(AnnotationMissing)},
		{name: "another namespace", listener: listener{edit: []string{"metadata: {", "metadata: {namespace: elsewhere,"}}, want: refused(OtherNamespace)},
		{name: "the own namespace written out", listener: listener{edit: []string{"metadata: {", "metadata: {namespace: team-a,"}}, want: good},
		{name: "an image that the pipeline is not told of", listener: listener{edit: []string{"value: $(tt.params.reference)", "value: latest"}}, want: refused(ImageUnused)},
		{name: "no class although the trigger asks for one", listener: listener{edit: []string{"runtimeClassName: $(tt.params.class)", "hostNetwork: false"}}, want: refused(SandboxNotInTemplate)},
		{name: "another class than the trigger asks for", listener: listener{edit: []string{"$(tt.params.class)", "runc"}}, want: refused(SandboxNotInTemplate)},
		{name: "a task that leaves the sandbox", listener: listener{edit: []string{"taskRunTemplate:", "taskRunSpecs: [{pipelineTaskName: scan, podTemplate: {runtimeClassName: runc}}], taskRunTemplate:"}}, want: refused(SandboxNotInTemplate)},

		{name: "runs around the class, and a template that follows", sandbox: excluding, listener: around, want: good},
		{name: "runs around the class, and a template with the class written into it", sandbox: excluding, listener: listener{edit: []string{"$(tt.params.class)", "kata"}, params: []string{"class="}}, want: refused(SandboxNotInTemplate)},
		{name: "runs around the class, and a binding that reads it", sandbox: excluding, want: refused(ParamUnresolved)},
		{name: "a template that follows, and a trigger that asks for no class", noClass: true, listener: listener{
			edit: around.edit, params: around.params, defaults: []string{"field=runtimeClassName", "value=kata"}}, want: good},
		{name: "nodes, a toleration and a time that the template takes", sandbox: placed, listener: listener{
			edit: []string{"podTemplate: {", "podTemplate: {nodeSelector: {$(tt.params.label): $(tt.params.labelValue)}, tolerations: [{key: $(tt.params.key), operator: $(tt.params.operator), value: $(tt.params.tolerated), effect: $(tt.params.effect)}], ",
				"pipelineRef:", "timeouts: {pipeline: $(tt.params.limit)}, pipelineRef:"},
			params: []string{"label=$(body.sandbox.nodeLabel)", "labelValue=$(body.sandbox.nodeLabelValue)", "limit=$(body.sandbox.runTimeout)", "key=$(body.sandbox.tolerations[0].key)",
				"operator=$(body.sandbox.tolerations[0].operator)", "tolerated=$(body.sandbox.tolerations[0].value)", "effect=$(body.sandbox.tolerations[0].effect)"},
		}, want: good},
		{name: "nodes, a toleration and a time that the template ignores", sandbox: placed, want: refused(NodesNotInTemplate, TimeoutNotInTemplate)},

		{name: "a TaskRun", listener: listener{edit: []string{"kind: PipelineRun", "kind: TaskRun"}}, want: refused(TaskRunNotSupported, NoPipelineRun)},
		{name: "something else", listener: listener{edit: []string{"apiVersion: tekton.dev/v1, kind: PipelineRun", "apiVersion: v1, kind: ConfigMap"}}, want: refused(NoPipelineRun)},
		{name: "a resource after the PipelineRun", listener: listener{after: []string{"{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x-}}"}}, want: refused(NotLastTemplate)},
		{name: "a resource before it, with a new name each time", listener: listener{before: []string{"{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x-}}"}}, want: good},
		{name: "a resource before it, named after the run", listener: listener{before: []string{"{apiVersion: v1, kind: ConfigMap, metadata: {name: $(tt.params.run)}}"}}, want: good},
		{name: "a resource before it, with the same name each time", listener: listener{before: []string{"{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}"}}, want: refused(EarlierTemplateBlocks)},
		{name: "two PipelineRuns", listener: listener{before: []string{"{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {generateName: x-}}"}}, want: refused(RunsMoreThanOnce)},

		{name: "no trigger", listener: listener{change: func(el *triggersv1beta1.EventListener) { el.Spec.Triggers = nil }}, want: refused(NoTrigger)},
		{name: "a trigger that is nothing", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = []triggersv1beta1.EventListenerTrigger{{}}
		}}, want: refused(NoTrigger)},
		{name: "a second trigger that starts runs too", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = append(el.Spec.Triggers, other(listener{edit: []string{"name: $(tt.params.run),\n", "generateName: x-,\n"}}))
		}}, want: refused(RunsMoreThanOnce)},
		{name: "a second trigger that makes the same run", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = append(el.Spec.Triggers, other(listener{}))
		}}, want: refused(RunsMoreThanOnce)},
		{name: "a second trigger for another sender's events", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = append(el.Spec.Triggers, other(listener{params: []string{"run=$(body.repository.clone_url)"}}))
		}}, want: good},
		{name: "a second trigger with interceptors", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = append(el.Spec.Triggers, other(listener{interceptors: true, edit: []string{"name: $(tt.params.run),\n", "generateName: x-,\n"}}))
		}}, want: want{checked: true, confirmable: true, reasons: []FindingReason{InterceptorsNotChecked}}},
		{name: "interceptors of its own", listener: listener{interceptors: true}, want: want{checked: true, confirmable: true, reasons: []FindingReason{InterceptorsNotChecked}}},
		{name: "interceptors that add what the binding reads", listener: listener{interceptors: true, params: []string{"run=$(extensions.run)"}}, want: unknown},

		{name: "a Trigger by name", listener: byName(), want: good},
		{name: "a Trigger by name that does not exist", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = []triggersv1beta1.EventListenerTrigger{{TriggerRef: "none"}}
		}}, want: refused(TriggerNotFound)},
		{name: "Triggers by label", listener: byLabel(t), want: good},
		{name: "Triggers by label in a group", listener: byGroup(t), want: want{checked: true, confirmable: true, reasons: []FindingReason{InterceptorsNotChecked}}},
		{name: "Triggers of all namespaces", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.NamespaceSelector.MatchNames = []string{"*"}
		}}, want: unknown},
		{name: "a binding that does not exist", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers[0].Bindings = append(el.Spec.Triggers[0].Bindings, &triggersv1beta1.TriggerSpecBinding{Ref: "none"})
		}}, want: refused(BindingNotFound)},
		{name: "a template that does not exist", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			name := "none"
			el.Spec.Triggers[0].Template = &triggersv1beta1.EventListenerTemplate{Ref: &name}
		}}, want: refused(TemplateNotFound)},
		{name: "a listener that says it is not ready; it is used all the same", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionFalse, Reason: "MinimumReplicasUnavailable"}}
		}}, want: want{checked: true, confirmable: true, reasons: []FindingReason{ListenerNotReady}}},
		{name: "one that is not known to be ready", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionUnknown}}
		}}, want: good},
		{name: "a parameter bound twice", listener: listener{change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers[0].Bindings = append(el.Spec.Triggers[0].Bindings, el.Spec.Triggers[0].Bindings[0])
		}}, want: refused(ParamUnresolved)},
	} {
		t.Run(test.name, func(t *testing.T) {
			class := "kata"
			if test.noClass {
				class = ""
			}
			checker := NewChecker(newTestClient(t, test.listener.build(t)...), testPolicy, "revet-system")
			asking := trigger(class)
			if test.sandbox != nil {
				test.sandbox(&asking.Spec.Sandbox)
			}
			report, err := checker.Check(t.Context(), asking)
			if err != nil {
				t.Fatal(err)
			}
			got := want{checked: report.Checked, confirmable: report.Confirmable()}
			for _, f := range report.Findings {
				got.reasons = append(got.reasons, f.Reason)
				if f.Message == "" {
					t.Errorf("%s has no message", f.Reason)
				}
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("report (-want +got):\n%s\n%v", diff, report.Findings)
			}
		})
	}
}

// byName is a listener whose trigger, bindings and template are objects.
func byName() listener {
	return listener{
		change: func(el *triggersv1beta1.EventListener) {
			el.Spec.Triggers = []triggersv1beta1.EventListenerTrigger{{TriggerRef: "revet"}}
		},
		objects: named(map[string]string{"app": "revet"}),
	}
}

func byLabel(t *testing.T) listener {
	t.Helper()
	l := byName()
	l.change = func(el *triggersv1beta1.EventListener) {
		el.Spec.Triggers = nil
		el.Spec.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "revet"}}
	}
	return l
}

func byGroup(t *testing.T) listener {
	t.Helper()
	l := byName()
	l.change = func(el *triggersv1beta1.EventListener) {
		el.Spec.Triggers = nil
		el.Spec.TriggerGroups = []triggersv1beta1.EventListenerTriggerGroup{{
			Name:         "g",
			Interceptors: []*triggersv1beta1.TriggerInterceptor{{Ref: triggersv1beta1.InterceptorRef{Name: "cel"}}},
			TriggerSelector: triggersv1beta1.EventListenerTriggerSelector{
				NamespaceSelector: triggersv1beta1.NamespaceSelector{MatchNames: []string{"team-a"}},
			},
		}}
	}
	return l
}

func named(labels map[string]string) []client.Object {
	raw, err := yaml.YAMLToJSON([]byte(goodRun))
	if err != nil {
		panic(err)
	}
	var rt triggersv1beta1.TriggerResourceTemplate
	if err := json.Unmarshal(raw, &rt); err != nil {
		panic(err)
	}
	template := "revet"
	meta := metav1.ObjectMeta{Namespace: "team-a", Name: "revet", Labels: labels}
	own, shared := params(goodParams[:2]), params(goodParams[2:])
	return []client.Object{
		&triggersv1beta1.Trigger{ObjectMeta: meta, Spec: triggersv1beta1.TriggerSpec{
			Bindings: []*triggersv1beta1.TriggerSpecBinding{
				{Ref: "revet"},
				{Ref: "revet-shared", Kind: triggersv1beta1.ClusterTriggerBindingKind},
			},
			Template:     triggersv1beta1.TriggerSpecTemplate{Ref: &template},
			Interceptors: []*triggersv1beta1.TriggerInterceptor{ownRef()},
		}},
		&triggersv1beta1.TriggerBinding{ObjectMeta: meta, Spec: triggersv1beta1.TriggerBindingSpec{Params: own}},
		&triggersv1beta1.ClusterTriggerBinding{ObjectMeta: metav1.ObjectMeta{Name: "revet-shared"}, Spec: triggersv1beta1.TriggerBindingSpec{Params: shared}},
		&triggersv1beta1.TriggerTemplate{ObjectMeta: meta, Spec: triggersv1beta1.TriggerTemplateSpec{
			ResourceTemplates: []triggersv1beta1.TriggerResourceTemplate{rt},
		}},
	}
}

func params(list []string) []triggersv1beta1.Param {
	var all []triggersv1beta1.Param
	for _, p := range list {
		name, value, _ := strings.Cut(p, "=")
		all = append(all, triggersv1beta1.Param{Name: name, Value: value})
	}
	return all
}

func TestCheckNamesTheAccountThatCreatesTheRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*triggersv1beta1.EventListener)
		want   string
	}{
		{"the listener's", func(*triggersv1beta1.EventListener) {}, "runner"},
		{"the trigger's own", func(el *triggersv1beta1.EventListener) { el.Spec.Triggers[0].ServiceAccountName = "own" }, "own"},
		{"the default", func(el *triggersv1beta1.EventListener) { el.Spec.ServiceAccountName = "" }, "default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checker := NewChecker(newTestClient(t, listener{change: test.change}.build(t)...), testPolicy, "revet-system")
			report, err := checker.Check(t.Context(), trigger("kata"))
			if err != nil {
				t.Fatal(err)
			}
			want := []source.Account{{Namespace: "team-a", Name: test.want}}
			if diff := cmp.Diff(want, report.Runners); diff != "" {
				t.Errorf("runners (-want +got):\n%s", diff)
			}
		})
	}
}

// The runs' accounts are those that the PipelineRun names, for all tasks or for one.
func TestCheckNamesTheAccountsOfTheRuns(t *testing.T) {
	const podTemplate = "taskRunTemplate: {podTemplate"
	for _, test := range []struct {
		name string
		edit []string
		want []string
	}{
		{"none is named", nil, []string{""}},
		{"one for all tasks", []string{podTemplate, "taskRunTemplate: {serviceAccountName: scanner, podTemplate"}, []string{"scanner"}},
		{"another for one task", []string{podTemplate, "taskRunSpecs: [{pipelineTaskName: publish, serviceAccountName: pusher}, {pipelineTaskName: scan}], taskRunTemplate: {serviceAccountName: scanner, podTemplate"},
			[]string{"scanner", "pusher"}},
		{"the same twice", []string{podTemplate, "taskRunSpecs: [{pipelineTaskName: scan, serviceAccountName: scanner}], taskRunTemplate: {serviceAccountName: scanner, podTemplate"}, []string{"scanner"}},
		{"as v1beta1 writes it", []string{"tekton.dev/v1,", "tekton.dev/v1beta1,", "taskRunTemplate: {podTemplate: {runtimeClassName: $(tt.params.class)}}",
			"serviceAccountName: scanner, taskRunSpecs: [{taskServiceAccountName: pusher}], podTemplate: {runtimeClassName: $(tt.params.class)}"}, []string{"scanner", "pusher"}},
		{"a template that makes no run", []string{"kind: PipelineRun", "kind: Pipeline"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := NewChecker(newTestClient(t, listener{edit: test.edit}.build(t)...), testPolicy, "revet-system").Check(t.Context(), trigger("kata"))
			if err != nil {
				t.Fatal(err)
			}
			var want []source.Account
			for _, name := range test.want {
				want = append(want, source.Account{Namespace: "team-a", Name: name})
			}
			if diff := cmp.Diff(want, report.RunAccounts); diff != "" {
				t.Errorf("accounts of the runs (-want +got):\n%s\nfindings %+v", diff, report.Findings)
			}
		})
	}
}

func TestSinksOfOtherKindsCannotBeChecked(t *testing.T) {
	for name, sink := range map[string]v1alpha1.Sink{
		"a uri":                        {URI: "https://hooks.example.com/"},
		"a Broker":                     ref("eventing.knative.dev/v1", "Broker", "b"),
		"another version":              ref("triggers.tekton.dev/v1alpha1", "EventListener", "scan"),
		"a listener that is not there": ref("triggers.tekton.dev/v1beta1", "EventListener", "none"),
	} {
		t.Run(name, func(t *testing.T) {
			asked := trigger("")
			asked.Spec.Sink = sink
			report, err := NewChecker(newTestClient(t), testPolicy, "revet-system").Check(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			if report.Checked || report.Confirmable() || len(report.Findings) != 1 || report.Findings[0].Reason != NotCheckable {
				t.Errorf("report %+v, want one NotCheckable", report)
			}
		})
	}
}

// What is not checked is neither accepted nor asked twice.
func TestZeroReportIsNotConfirmable(t *testing.T) {
	if (Report{}).Confirmable() {
		t.Error("confirmable")
	}
}

// An API server that does not answer says nothing about a template.
func TestCheckReturnsTheAPIServersErrors(t *testing.T) {
	for _, kind := range []string{"EventListener", "Trigger", "TriggerBinding", "ClusterTriggerBinding", "TriggerTemplate"} {
		t.Run(kind, func(t *testing.T) {
			broken := errors.New("connection refused")
			c := interceptor.NewClient(newTestClient(t, byName().build(t)...), interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if strings.HasSuffix(fmt.Sprintf("%T", o), "."+kind) {
						return broken
					}
					return c.Get(ctx, key, o, opts...)
				},
			})
			if _, err := NewChecker(c, testPolicy, "revet-system").Check(t.Context(), trigger("kata")); !errors.Is(err, broken) {
				t.Errorf("error %v, want %v", err, broken)
			}
		})
	}
}

// The listener that this repository ships passes its own check, with a class and
// without.
func TestShippedListenerIsAccepted(t *testing.T) {
	files, err := filepath.Glob(filepath.FromSlash("../../triggers/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in triggers/: %v", err)
	}
	var objects []client.Object
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, shipped(t, string(content))...)
	}
	if len(objects) != 4 {
		t.Fatalf("triggers/ holds %d objects that matter, want an EventListener, a TriggerBinding, a TriggerTemplate and a ClusterInterceptor", len(objects))
	}
	for _, class := range []string{"kata", ""} {
		asked := trigger(class)
		asked.Spec.Sink.Ref.Name = "scan-and-validate"
		report, err := NewChecker(newTestClient(t, objects...), testPolicy, "revet-system").Check(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if !report.Confirmable() || len(report.Findings) > 0 {
			t.Errorf("class %q: %+v", class, report.Findings)
		}
	}
}

func shipped(t *testing.T, content string) []client.Object {
	t.Helper()
	var objects []client.Object
	for _, document := range strings.Split(content, "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		var o client.Object
		switch kind.Kind {
		case "EventListener":
			o = &triggersv1beta1.EventListener{}
		case "TriggerBinding":
			o = &triggersv1beta1.TriggerBinding{}
		case "TriggerTemplate":
			o = &triggersv1beta1.TriggerTemplate{}
		case "ClusterInterceptor":
			o = &triggersv1alpha1.ClusterInterceptor{}
		default:
			continue
		}
		if err := yaml.Unmarshal([]byte(document), o); err != nil {
			t.Fatal(err)
		}
		if kind.Kind != "ClusterInterceptor" {
			o.SetNamespace("team-a")
		}
		objects = append(objects, o)
	}
	return objects
}

// Revet may not read service accounts by default: what they may do is asked anyway.
func TestServiceAccountThatMayNotBeReadIsTakenToExist(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want bool
		ok   bool
	}{
		{"forbidden", apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts"}, "x", nil), true, true},
		{"an API server that is away", errors.New("connection refused"), false, false},
	} {
		c := interceptor.NewClient(newTestClient(t), interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return test.err
			},
		})
		got, err := NewChecker(c, testPolicy, "revet-system").HasServiceAccount(t.Context(), source.Account{Namespace: "team-a", Name: "x"})
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}

func TestRights(t *testing.T) {
	var asked []authorizationv1.SubjectAccessReviewSpec
	c := interceptor.NewClient(newTestClient(t,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "runner"}},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "runsc"},
	), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			review := o.(*authorizationv1.SubjectAccessReview)
			asked = append(asked, review.Spec)
			review.Status.Allowed = review.Spec.ResourceAttributes.Namespace == "team-a"
			return nil
		},
	})
	checker := NewChecker(c, testPolicy, "revet-system")
	account := source.Account{Namespace: "team-a", Name: "runner"}
	has := func(_ time.Time, ok bool, err error) (bool, error) { return ok, err }
	for _, test := range []struct {
		name string
		ask  func() (bool, error)
		want bool
	}{
		{"may create runs", func() (bool, error) { return checker.MayCreateRuns(t.Context(), account, "team-a") }, true},
		{"may not create runs elsewhere", func() (bool, error) { return checker.MayCreateRuns(t.Context(), account, "team-b") }, false},
		{"has the class", func() (bool, error) { return has(checker.RuntimeClassSince(t.Context(), "kata")) }, true},
		{"has not another", func() (bool, error) { return has(checker.RuntimeClassSince(t.Context(), "gvisor")) }, false},
		{"has the account", func() (bool, error) { return checker.HasServiceAccount(t.Context(), account) }, true},
		{"has not another account", func() (bool, error) {
			return checker.HasServiceAccount(t.Context(), source.Account{Namespace: "team-a", Name: "none"})
		}, false},
	} {
		if got, err := test.ask(); err != nil || got != test.want {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
	user, groups := "system:serviceaccount:team-a:runner", []string{"system:serviceaccounts", "system:serviceaccounts:team-a", "system:authenticated"}
	want := []authorizationv1.SubjectAccessReviewSpec{
		{User: user, Groups: groups, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "team-a", Verb: "create", Group: "tekton.dev", Resource: "pipelineruns"}},
		{User: user, Groups: groups, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "team-b", Verb: "create", Group: "tekton.dev", Resource: "pipelineruns"}},
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}
