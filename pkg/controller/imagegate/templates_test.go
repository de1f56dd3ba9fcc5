package imagegate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/kube"
)

func labelledTemplate() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.BreakGlassLabel: "true"}}}
}

func metaOf(name string, owner ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: "prod", Name: name, UID: types.UID("uid-" + name)}
	for _, o := range owner {
		kind, uid, _ := strings.Cut(o, "/")
		yes := true
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: uid, UID: types.UID("uid-" + uid), Controller: &yes}}
	}
	return m
}

func workloads() []client.Object {
	t := labelledTemplate()
	other := metaOf("elsewhere")
	other.Namespace = "test"
	return []client.Object{
		&appsv1.Deployment{ObjectMeta: metaOf("deployment"), Spec: appsv1.DeploymentSpec{Template: t}},
		&appsv1.ReplicaSet{ObjectMeta: metaOf("replicaset"), Spec: appsv1.ReplicaSetSpec{Template: t}},
		&appsv1.StatefulSet{ObjectMeta: metaOf("statefulset"), Spec: appsv1.StatefulSetSpec{Template: t}},
		&appsv1.DaemonSet{ObjectMeta: metaOf("daemonset"), Spec: appsv1.DaemonSetSpec{Template: t}},
		&batchv1.Job{ObjectMeta: metaOf("job"), Spec: batchv1.JobSpec{Template: t}},
		&batchv1.CronJob{ObjectMeta: metaOf("cronjob"), Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: t}}}},
		&corev1.ReplicationController{ObjectMeta: metaOf("controller"), Spec: corev1.ReplicationControllerSpec{Template: &t}},
		&appsv1.ControllerRevision{ObjectMeta: metaOf("revision", "StatefulSet/rolled-back"), Data: runtime.RawExtension{
			Raw: []byte(`{"Spec":{"template":{"metadata":{"Labels":{"` + v1alpha1.BreakGlassLabel + `":"true"}}}},"spec":{"template":{}}}`),
		}},
		&appsv1.Deployment{ObjectMeta: metaOf("unlabelled")},
		&appsv1.Deployment{ObjectMeta: other, Spec: appsv1.DeploymentSpec{Template: t}},
	}
}

func deny(b *bench) {
	b.gate.Spec.Mode, b.gate.Status.Mode = v1alpha1.GateDeny, v1alpha1.GateDeny
}

// guard asks as the reconciler does, and lists what is due.
func (b *bench) guard(written map[string]string) []string {
	b.t.Helper()
	b.observer.Guard(b.gate, written)
	b.observer.templates(b.t.Context())
	return slices.Sorted(maps.Keys(b.observer.Guard(b.gate, written)))
}

// listedBefore has the gate's status say what a process before this one had listed.
func (b *bench) listedBefore() {
	b.t.Helper()
	d := &guarded{ImageGate: b.gate, scope: b.scopes["production"]}
	if err := b.observer.cover(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
	b.gate.Status.TemplatesListed = d.mark
}

// label gives a namespace the labels.
func (b *bench) label(namespace string, labels map[string]string) {
	b.t.Helper()
	var n corev1.Namespace
	if err := b.client.Get(b.t.Context(), types.NamespacedName{Name: namespace}, &n); err != nil {
		b.t.Fatal(err)
	}
	n.Labels = labels
	if err := b.client.Update(b.t.Context(), &n); err != nil {
		b.t.Fatal(err)
	}
}

// Property: where nobody guarded the label, because the gate came to gate the namespace later,
// those that have it are listed then, whoever leads by that time. Others that got it since by
// right stay trusted.
func TestTemplatesOfANamespaceThatIsGatedLaterAreListed(t *testing.T) {
	prod, elsewhere := map[string]string{"env": "prod"}, "uid-elsewhere"
	const excluding = "an exclusion that ends"
	selects := func(b *bench) {
		var g v1alpha1.ImageGate
		if err := b.client.Get(b.t.Context(), client.ObjectKeyFromObject(b.gate), &g); err != nil {
			b.t.Fatal(err)
		}
		g.Spec.NamespaceSelector = metav1.LabelSelector{}
		if err := b.client.Update(b.t.Context(), &g); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		change func(*bench)
		want   []string
		// anew is true if the next process cannot tell what was listed, and trusts nobody.
		anew bool
	}{
		{"nothing enters", func(*bench) {}, nil, false},
		{"a label that is not asked for", func(b *bench) { b.label("test", map[string]string{"a": "b"}) }, nil, false},
		{"the label", func(b *bench) { b.label("test", prod) }, []string{elsewhere}, false},
		{"another selector", selects, []string{elsewhere}, true},
		{excluding, func(b *bench) { b.scopes["production"] = Scope{UID: "g1", Generation: 3} }, []string{elsewhere}, true},
	} {
		for _, restarts := range []bool{false, true} {
			b := newBench(t)
			if test.name == excluding {
				b.scopes["production"] = Scope{UID: "g1", Generation: 3, Exclusion: gate.Exclusion{Names: []string{"test"}}}
				b.label("test", prod)
			}
			deny(b)
			b.guard(nil)
			b.now = b.now.Add(11 * time.Second)
			b.guard(nil)
			if len(b.observer.Guard(b.gate, nil)) != 0 {
				t.Fatal("something was listed at first")
			}
			for _, o := range workloads() { // with the right to it, or elsewhere
				if err := b.client.Create(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			b.gate.Status.TemplatesListed = b.observer.Report(b.gate).TemplatesListed
			test.change(b)
			if restarts {
				b.observer.gates = map[string]*observed{}
			}
			got := b.guard(map[string]string{})
			if restarts && test.anew && len(got) == 9 {
				continue
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s, restarted %t: untrusted are %v, want %v", test.name, restarts, got, test.want)
			}
		}
	}
}

// Property: a namespace that left the gate and is back counts as one that enters.
func TestTemplatesOfANamespaceThatIsBackAreListed(t *testing.T) {
	b := newBench(t)
	deny(b)
	b.guard(nil)
	b.now = b.now.Add(11 * time.Second)
	b.guard(nil)
	b.label("prod", nil)
	b.guard(nil)
	for _, o := range workloads() {
		if err := b.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.guard(nil); len(got) != 0 {
		t.Errorf("outside the gate %v", got)
	}
	b.label("prod", map[string]string{"env": "prod"})
	if got := b.guard(nil); len(got) != 8 {
		t.Errorf("once it is back %v", got)
	}
}

// Property: no workload's label counts until all kinds were listed, once mode Deny has been in
// force for long enough that later ones took a right.
func TestLabelledTemplatesAreListedOnceTheGateGuardsThem(t *testing.T) {
	b := newBench(t, workloads()...)
	every := []string{gate.EveryOwner}
	if diff := cmp.Diff(every, b.guard(nil)); diff != "" {
		t.Errorf("in Audit (-want +got):\n%s", diff)
	}
	deny(b)
	if diff := cmp.Diff(every, b.guard(map[string]string{gate.EveryOwner: "x"})); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	b.now = b.now.Add(11 * time.Second)
	var want []string
	for _, name := range []string{"controller", "cronjob", "daemonset", "deployment", "job", "replicaset", "rolled-back", "statefulset"} {
		want = append(want, "uid-"+name)
	}
	if diff := cmp.Diff(want, b.guard(map[string]string{gate.EveryOwner: "x"})); diff != "" {
		t.Errorf("once it guards (-want +got):\n%s", diff)
	}
	shown := shownTemplates(b.observer.Guard(b.gate, nil))
	if len(shown) != len(want) || shown[0] != (v1alpha1.WorkloadReference{Kind: "CronJob", Namespace: "prod", Name: "cronjob", UID: "uid-cronjob"}) {
		t.Errorf("shown are %+v", shown)
	}
}

// Property: a list that breaks off trusts nobody.
func TestHalfAListOfTemplatesTrustsNobody(t *testing.T) {
	for _, kind := range templateKinds() {
		b := newBench(t, workloads()...)
		deny(b)
		b.guard(nil)
		b.now = b.now.Add(11 * time.Second)
		b.fails = func(l client.ObjectList, _ client.ListOptions) error {
			if l.GetObjectKind().GroupVersionKind().Kind == kind.Kind {
				return errors.New("forbidden")
			}
			return nil
		}
		if got := b.guard(nil); !slices.Equal(got, []string{gate.EveryOwner}) {
			t.Errorf("without %s: %v", kind.Kind, got)
		}
		if events := b.events(); len(events) != 1 || !strings.Contains(events[0], "TemplatesNotListed") {
			t.Errorf("without %s: Events %q", kind.Kind, events)
		}
	}
}

// Property: what a process before this one listed is taken over, and later labels are not
// added to it: they took a right.
func TestALaterProcessTakesTheListOver(t *testing.T) {
	b := newBench(t, workloads()...)
	deny(b)
	written := map[string]string{"uid-job": "Job/prod/job", "uid-gone": "Job/prod/gone", "uid-rolled-back": "StatefulSet/prod/rolled-back"}
	if err := b.client.Create(t.Context(), &appsv1.ReplicaSet{ObjectMeta: metaOf("copy", "Job/job"), Spec: appsv1.ReplicaSetSpec{Template: labelledTemplate()}}); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Create(t.Context(), &batchv1.Job{ObjectMeta: metaOf("of-old", "CronJob/old"), Spec: batchv1.JobSpec{Template: labelledTemplate()}}); err != nil {
		t.Fatal(err)
	}
	b.listedBefore()
	got := b.guard(written)
	if diff := cmp.Diff([]string{"uid-job", "uid-rolled-back"}, got); diff != "" {
		t.Errorf("taken over (-want +got):\n%s", diff)
	}
}

// Property: a list that the process before this one could not finish is made again.
func TestALaterProcessListsWhatWasNotListed(t *testing.T) {
	b := newBench(t, workloads()...)
	deny(b)
	written := map[string]string{gate.EveryOwner: "x", "uid-job": "Job/prod/job"}
	if got := b.guard(written); !slices.Equal(got, []string{gate.EveryOwner}) {
		t.Errorf("at first %v", got)
	}
	b.now = b.now.Add(11 * time.Second)
	if got := b.guard(written); len(got) != 8 {
		t.Errorf("then %v", got)
	}
}

// Property: what controllers made of an untrusted workload is not trusted either.
func TestCopiesOfUntrustedTemplatesAreNotTrusted(t *testing.T) {
	b := newBench(t, workloads()...)
	deny(b)
	written := map[string]string{"uid-cronjob": "CronJob/prod/cronjob", "uid-deployment": "Deployment/prod/deployment"}
	for _, o := range []client.Object{
		&batchv1.Job{ObjectMeta: metaOf("of-cronjob", "CronJob/cronjob"), Spec: batchv1.JobSpec{Template: labelledTemplate()}},
		&appsv1.ReplicaSet{ObjectMeta: metaOf("of-deployment", "Deployment/deployment"), Spec: appsv1.ReplicaSetSpec{Template: labelledTemplate()}},
	} {
		if err := b.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	b.listedBefore()
	want := []string{"uid-cronjob", "uid-deployment", "uid-of-cronjob", "uid-of-deployment"}
	if diff := cmp.Diff(want, b.guard(written)); diff != "" {
		t.Errorf("untrusted (-want +got):\n%s", diff)
	}
}

// Property: a gate that left Deny lists again when it is back, whatever its objects say: in
// between anybody could set the label.
func TestAGateThatLeftDenyListsAgain(t *testing.T) {
	b := newBench(t)
	deny(b)
	if got := b.guard(map[string]string{}); len(got) != 0 {
		t.Fatalf("at first %v", got)
	}
	b.gate.Spec.Mode = v1alpha1.GateAudit
	b.guard(map[string]string{})
	deny(b)
	if got := b.guard(map[string]string{}); !slices.Equal(got, []string{gate.EveryOwner}) {
		t.Errorf("back in Deny %v", got)
	}
}

// Property: the list has a bound. Beyond it no workload's label counts.
func TestTooManyTemplatesTrustNobody(t *testing.T) {
	b := newBench(t)
	for i := range maxUntrusted + 1 {
		in := fmt.Sprint("n", i/maxUntrustedIn)
		if i%maxUntrustedIn == 0 {
			if err := b.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: in, UID: types.UID("uid-" + in), Labels: map[string]string{"env": "prod"}}}); err != nil {
				t.Fatal(err)
			}
		}
		b.labelled(in, fmt.Sprint("d", i))
	}
	deny(b)
	b.guard(nil)
	b.now = b.now.Add(11 * time.Second)
	if got := b.guard(nil); !slices.Equal(got, []string{gate.EveryOwner}) {
		t.Errorf("%d owners", len(got))
	}
	if o := b.observer.Guard(b.gate, nil); !strings.Contains(o[gate.EveryOwner], "more than") {
		t.Errorf("it says %q", o[gate.EveryOwner])
	}
}

// labelled makes a Deployment with the label.
func (b *bench) labelled(namespace, name string) {
	b.t.Helper()
	o := &appsv1.Deployment{ObjectMeta: metaOf(name), Spec: appsv1.DeploymentSpec{Template: labelledTemplate()}}
	o.Namespace = namespace
	if err := b.client.Create(b.t.Context(), o); err != nil {
		b.t.Fatal(err)
	}
}

// Property: whoever has the label in many workloads of one namespace takes it from nobody in
// another, whether the namespace was gated all along or comes to be.
func TestManyTemplatesOfANamespaceCostNoOtherOnes(t *testing.T) {
	b := newBench(t)
	many := func(namespace string, n int) {
		for i := range n {
			b.labelled(namespace, fmt.Sprint("d", i))
		}
	}
	many("prod", maxUntrusted+1)
	b.labelled("test", "one")
	deny(b)
	b.guard(nil)
	b.now = b.now.Add(11 * time.Second)
	want := []string{gate.OwnersIn("prod")}
	if got := b.guard(nil); !slices.Equal(got, want) {
		t.Errorf("at first %v, want %v", got, want)
	}
	if shown := shownTemplates(b.observer.Guard(b.gate, nil)); len(shown) != 1 || shown[0].Kind != "Namespace" || shown[0].Name != "prod" {
		t.Errorf("shown are %v", shown)
	}
	many("test", maxUntrustedIn+1)
	want = append(want, gate.OwnersIn("test"))
	b.label("test", map[string]string{"env": "prod"})
	lists := 0
	b.fails = func(l client.ObjectList, o client.ListOptions) error {
		if _, ok := l.(*metav1.PartialObjectMetadataList); !ok && o.Namespace != "test" {
			lists++
		}
		return nil
	}
	if got := b.guard(nil); !slices.Equal(got, want) || lists > 0 {
		t.Errorf("then %v, want %v; %d lists of other namespaces", got, want, lists)
	}
	b.now = b.now.Add(templateRecheck)
	if got := b.guard(nil); !slices.Equal(got, want) {
		t.Errorf("looked at again %v, want %v", got, want)
	}
	if err := b.client.DeleteAllOf(t.Context(), &appsv1.Deployment{}, client.InNamespace("prod")); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(templateRecheck)
	if got := b.guard(nil); !slices.Equal(got, want[1:]) {
		t.Errorf("without those of prod %v, want %v", got, want[1:])
	}
}

// Property: workloads that are too large together are read fewer at once, and all of them.
func TestLargeTemplatesAreReadFewerAtOnce(t *testing.T) {
	b := newBench(t, workloads()...)
	deny(b)
	b.guard(nil)
	b.now = b.now.Add(11 * time.Second)
	b.fails = func(_ client.ObjectList, o client.ListOptions) error {
		if o.Limit > 3 {
			return kube.ErrPageTooLarge
		}
		return nil
	}
	if got := b.guard(nil); len(got) != 8 || slices.Contains(got, gate.EveryOwner) {
		t.Errorf("untrusted are %q", got)
	}
}
