package gate

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

var suspended = true

// workloads are the kinds with a template of Pods, each made of one.
var workloads = map[string]func(corev1.PodTemplateSpec) client.Object{
	"Deployment": func(t corev1.PodTemplateSpec) client.Object {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Selector: selector(), Template: t}}
	},
	"ReplicaSet": func(t corev1.PodTemplateSpec) client.Object {
		return &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Selector: selector(), Template: t}}
	},
	"StatefulSet": func(t corev1.PodTemplateSpec) client.Object {
		return &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Selector: selector(), Template: t}}
	},
	"DaemonSet": func(t corev1.PodTemplateSpec) client.Object {
		return &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Selector: selector(), Template: t}}
	},
	"Job": func(t corev1.PodTemplateSpec) client.Object {
		t.Spec.RestartPolicy = corev1.RestartPolicyNever
		return &batchv1.Job{Spec: batchv1.JobSpec{Template: t, Suspend: &suspended}}
	},
	"CronJob": func(t corev1.PodTemplateSpec) client.Object {
		t.Spec.RestartPolicy = corev1.RestartPolicyNever
		return &batchv1.CronJob{Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: t}}}}
	},
	"ReplicationController": func(t corev1.PodTemplateSpec) client.Object {
		return &corev1.ReplicationController{Spec: corev1.ReplicationControllerSpec{Selector: selector().MatchLabels, Template: &t}}
	},
	"PodTemplate": func(t corev1.PodTemplateSpec) client.Object { return &corev1.PodTemplate{Template: t} },
}

// revision is what StatefulSets make Pods of besides their own template.
func revision(t corev1.PodTemplateSpec) client.Object {
	template, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&t)
	if err != nil {
		panic(err)
	}
	template["$patch"] = "replace" // as the controllers write it
	data, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
	if err != nil {
		panic(err)
	}
	return &appsv1.ControllerRevision{Revision: 1, Data: runtime.RawExtension{Raw: data}}
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
}

// templateWith is a template with images and, on demand, the label of break-glass.
func templateWith(glass bool, images ...string) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: selector().MatchLabels}, Spec: podOf(images...).Spec}
	if glass {
		t.Labels[gate.BreakGlassLabel] = "true"
	}
	return t
}

// templateIn is the template of a workload.
func templateIn(o client.Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.ReplicaSet:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	case *corev1.ReplicationController:
		return o.Spec.Template
	case *corev1.PodTemplate:
		return &o.Template
	default:
		panic("no template")
	}
}

// Templates are warned of and never refused, in every kind that has one.
func TestTemplatesAreWarnedOf(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn, v1alpha1.GateDeny} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			g := newGated(t, mode, exempting).enforce(t, content()...)
			for kind, make := range workloads {
				for _, test := range []struct{ image, by string }{
					{ref(freshHex), ""}, {ref(unknownHex), "templates"}, {ref(expiredHex), "templates"}, {ref(ranHex), ""},
					{"nginx:1", "tagtemplates"}, {"registry.k8s.io/pause:3", ""}, {"registryxk8s.io/pause:3", "tagtemplates"},
				} {
					g.expectTemplate(t, mode, kind+" of "+test.image, test.by, g.try(t, asDeveloper(t), named(make(templateWith(false, ref(freshHex), test.image)))))
				}
				spec := templateWith(false, ref(freshHex))
				spec.Spec = withInit(podOf(ref(freshHex)), ref(unknownHex)).Spec
				g.expectTemplate(t, mode, kind+" with an init container", "templates", g.try(t, asDeveloper(t), named(make(spec))))
				spec.Spec = withVolume(podOf(ref(freshHex)), "nginx:1").Spec
				g.expectTemplate(t, mode, kind+" with an image volume", "tagtemplates", g.try(t, asDeveloper(t), named(make(spec))))
				controller := asUser(t, gate.WorkloadControllers()[0], developers)
				g.expectTemplate(t, mode, kind+" of a controller", "", g.try(t, controller, named(make(templateWith(false, ref(unknownHex), "nginx:1")))))
			}
		})
	}
}

func named(o client.Object) client.Object {
	o.SetGenerateName("w-")
	return o
}

// expectTemplate expects that a request is admitted, and that a policy spoke up as its mode has
// it. Of several that do, the API server audits one: so a request gives reason to one only.
func (g *gated) expectTemplate(t *testing.T, mode v1alpha1.GateMode, what, by string, a *answer) {
	t.Helper()
	if a.err != nil {
		t.Errorf("%s is refused: %v", what, a.err)
		return
	}
	if by == "" {
		if all := append(a.warnedBy(), a.audited(t)...); len(all) > 0 {
			t.Errorf("%s: %v spoke up", what, all)
		}
		return
	}
	if got, want := slices.Contains(a.warnedBy(), g.policy(by)), mode != v1alpha1.GateAudit; got != want {
		t.Errorf("%s: warned by %v, want %s: %t", what, a.warnedBy(), by, want)
	}
	if !slices.Contains(a.audited(t), g.policy(by)) {
		t.Errorf("%s: noted by %v, want %s", what, a.audited(t), by)
	}
}

// An update is warned of only if it changes images.
func TestTemplatesThatKeepTheirImages(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil)
	var old []client.Object
	for kind, make := range workloads {
		o := make(templateWith(false, "nginx:1", ref(unknownHex)))
		o.SetNamespace(g.namespace)
		o.SetName("old")
		g.make(t, o)
		if kind != "Job" { // its template never changes
			old = append(old, o)
		}
	}
	g.enforce(t, content()...)
	developer := asDeveloper(t)
	for _, o := range old {
		kept := o.DeepCopyObject().(client.Object)
		kept.SetAnnotations(map[string]string{"a": "b"})
		g.expectTemplate(t, v1alpha1.GateDeny, "an annotation", "", g.update(t, developer, kept))
		changed := o.DeepCopyObject().(client.Object)
		templateIn(changed).Spec.Containers[0].Image, templateIn(changed).Spec.Containers[1].Image = "nginx:2", ref(freshHex)
		g.expectTemplate(t, v1alpha1.GateDeny, "an image", "tagtemplates", g.update(t, developer, changed))
		templateIn(changed).Spec.Containers[0].Image = ref(longRanHex)
		g.expectTemplate(t, v1alpha1.GateDeny, "a digest", "templates", g.update(t, developer, changed))
	}
}

// A scale is none of a gate's business.
func TestScaleIsNotLookedAt(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil)
	o := deploymentOf("nginx:1")
	o.Namespace, o.Name = g.namespace, "old"
	o.Spec.Template.Labels[gate.BreakGlassLabel] = "true"
	g.make(t, o)
	g.enforce(t, content()...)
	five := int32(5)
	o.Spec.Replicas = &five
	a := ask(t, func(ctx context.Context) error { return asDeveloper(t).Update(ctx, o, client.DryRunAll) })
	g.expectTemplate(t, v1alpha1.GateDeny, "a scale", "", a)
}
