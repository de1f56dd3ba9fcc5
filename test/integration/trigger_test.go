package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imagetrigger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/tekton"
)

// triggerReconciler checks triggers under the controller's account. What is
// returned makes one pass and reads the trigger.
func triggerReconciler(t *testing.T, namespace string) func() *v1alpha1.ImageTrigger {
	t.Helper()
	c := controllerClient(t)
	s, _ := sweeper(t)
	checker := tekton.NewChecker(c, func(string, string) bool { return false }, systemNamespace)
	r, err := imagetrigger.New(imagetrigger.Options{
		Cached: c, Live: c, Sinks: checker, Streams: openshift.NewReader(c, source.NewRights(c, 0, time.Now)), Sweeps: s, Runs: noTrouble{},
		Enqueue: func(types.NamespacedName) {}, EnqueueAfter: func(types.NamespacedName, time.Duration) {},
		Recorder: record.NewFakeRecorder(100), Log: zap.NewNop(), Now: time.Now, Jitter: func() float64 { return 0 },
		Intervals: imagetrigger.DefaultIntervals(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	return func() *v1alpha1.ImageTrigger {
		t.Helper()
		if err := r.Reconcile(t.Context(), namespace+"/vet"); err != nil {
			if again, _ := controller.IsRequeueKey(err); !again {
				t.Fatal(err)
			}
		}
		return triggerNamed(t, namespace, "vet")
	}
}

// expect waits for a reason of Ready, and for a text in its message.
func expect(t *testing.T, pass func() *v1alpha1.ImageTrigger, status metav1.ConditionStatus, reason, message string) *v1alpha1.ImageTrigger {
	t.Helper()
	var got *v1alpha1.ImageTrigger
	eventually(t, "Ready is "+reason, func() error {
		got = pass()
		c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, message) {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
	return got
}

// A user who follows the conditions of a trigger, one after another, ends with a
// trigger that is ready: each names what is wrong next, and its cure.
func TestTriggerConditionsLeadToReady(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	c := admin(t)
	create := func(objects ...client.Object) {
		t.Helper()
		for _, o := range objects {
			if err := c.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	class := "class-" + namespace
	create(&v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vet"},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:  []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
			Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan"}},
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: class},
		},
	})
	pass := triggerReconciler(t, namespace)
	expect(t, pass, metav1.ConditionFalse, "SinkNotFound", `EventListener "scan"`)

	listener := newListener(t, namespace, "generateName: scan-")
	create(listener)
	expect(t, pass, metav1.ConditionFalse, "SinkNotReady", "kubectl describe -n "+namespace)

	listener.Status.SetAddress("el-scan." + namespace + ".svc.cluster.local:8080")
	if err := c.Status().Update(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
	expect(t, pass, metav1.ConditionFalse, "GenerateName", "metadata: {name: $(tt.params.run)}")

	listener.Spec = newListener(t, namespace, "name: $(tt.params.run)").Spec
	if err := c.Update(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
	expect(t, pass, metav1.ConditionFalse, "RuntimeClassNotFound", class)

	create(&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Handler: "runsc"})
	expect(t, pass, metav1.ConditionFalse, "RunsNotAllowed", "kubectl create rolebinding runner-runs")

	create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "runner"}})
	mayCreateRuns(t, namespace)
	expect(t, pass, metav1.ConditionFalse, "StreamsNotVisible", "kubectl create role imagestream-reader -n "+namespace)

	mayGet(t, namespace)
	ready := expect(t, pass, metav1.ConditionTrue, "Ready", "")
	if !ready.IsReady() || !ready.Status.Confirmable || ready.Status.SinkURI != "http://el-scan."+namespace+".svc.cluster.local:8080" {
		t.Errorf("status %+v", ready.Status)
	}
	eventually(t, "the sweep is written", func() error {
		if got := pass(); got.Status.LastSweep == nil {
			return fmt.Errorf("conditions %+v", got.Status.Conditions)
		}
		return nil
	})
	before := triggerNamed(t, namespace, "vet")
	if after := pass(); after.ResourceVersion != before.ResourceVersion {
		t.Error("a pass that changes nothing wrote the status")
	}
}

// newListener makes a listener whose template is right but for the name.
func newListener(t *testing.T, namespace, name string) *triggersv1beta1.EventListener {
	t.Helper()
	field, value, _ := strings.Cut(name, ": ")
	text := func(s string) *string { return &s }
	run := map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"metadata": map[string]any{
			field:         value,
			"labels":      map[string]string{v1alpha1.RunLabel: "$(tt.params.run)"},
			"annotations": map[string]string{v1alpha1.EntryUIDAnnotation: "$(tt.params.uid)", v1alpha1.DigestAnnotation: "$(tt.params.digest)"},
		},
		"spec": map[string]any{
			"params":          []any{map[string]string{"name": "digest", "value": "$(tt.params.digest)"}},
			"taskRunTemplate": map[string]any{"podTemplate": map[string]string{"runtimeClassName": "$(tt.params.class)"}},
		},
	}
	raw, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	template := triggersv1beta1.TriggerResourceTemplate{}
	template.Raw = raw
	return &triggersv1beta1.EventListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "scan"},
		Spec: triggersv1beta1.EventListenerSpec{
			ServiceAccountName: "runner",
			Triggers: []triggersv1beta1.EventListenerTrigger{{
				Bindings: []*triggersv1beta1.TriggerSpecBinding{
					{Name: "run", Value: text("$(body.run)")},
					{Name: "uid", Value: text("$(body.entryUID)")},
					{Name: "digest", Value: text("$(body.image.digest)")},
					{Name: "class", Value: text("$(body.sandbox.runtimeClassName)")},
				},
				Template: &triggersv1beta1.EventListenerTemplate{Spec: &triggersv1beta1.TriggerTemplateSpec{
					ResourceTemplates: []triggersv1beta1.TriggerResourceTemplate{template},
				}},
			}},
		},
	}
}

// mayCreateRuns lets the listener's account create PipelineRuns.
func mayCreateRuns(t *testing.T, namespace string) {
	t.Helper()
	for _, o := range []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "runs"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns"}, Verbs: []string{"create"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "runs"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "runs"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "runner"}},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// noTrouble stands for runs that all appear.
type noTrouble struct{}

func (noTrouble) Trouble(context.Context, types.UID) (reason, message string, err error) {
	return "", "", nil
}
