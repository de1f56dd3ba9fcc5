package imagegate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/kube"
)

// bed is a Reconciler of one gate with a clock, over objects in memory. Its caches are never
// late. How the API server itself behaves is tested in test/gate and test/integration.
type bed struct {
	t          *testing.T
	client     client.Client
	reconciler *Reconciler
	recorder   *record.FakeRecorder
	now        time.Time
	rate       int64
	// queued are the gates that were queued, and promoted those of the last start.
	queued, promoted []string
	// wrote lists what was written of VerifiedImages, by name.
	wrote []string
	// fails makes writes fail.
	fails func(client.Object) error
	made  int
}

// Hold lets the process of the test lead everything.
func (b *bed) Hold(ctx context.Context, _ types.NamespacedName) (context.Context, func(), bool) {
	return ctx, func() {}, true
}

const bedGate = "production"

func newBed(t *testing.T, objects ...client.Object) *bed {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, now: noon, rate: 1 << 20}
	g := &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: bedGate, UID: "g1", Generation: 1, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: "verify", Trigger: "all"}},
			Mode:              v1alpha1.GateDeny, Force: true, PinTags: v1alpha1.PinNewest,
		},
	}
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "revet-system", UID: "home"}}
	scheme.AddKnownTypeWithName(definitionKind, &metav1.PartialObjectMetadata{})
	kind := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: gate.VerifiedImagesKind, UID: "kind"}}
	kind.SetGroupVersionKind(definitionKind)
	write := func(o client.Object) error {
		if _, ok := o.(*v1alpha1.VerifiedImages); ok {
			b.wrote = append(b.wrote, o.GetName())
		}
		if b.fails != nil {
			return b.fails(o)
		}
		return nil
	}
	memory := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ImageGate{}, &v1alpha1.ImageVerification{}).
		WithObjects(append([]client.Object{g, home, kind}, objects...)...).Build()
	b.client = interceptor.NewClient(memory, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := write(o); err != nil {
				return err
			}
			b.made++
			o.SetUID(types.UID(fmt.Sprint("made-", b.made)))
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := write(o); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
	})
	b.start()
	return b
}

// start begins with a process that knows nothing.
func (b *bed) start() {
	b.t.Helper()
	b.recorder = record.NewFakeRecorder(1000)
	r, err := New(Options{
		Entries: b.client, Cached: b.client, Live: b.client, Lease: b, Compile: gate.Compile,
		Exclude: func() []string { return nil }, Controllers: func() []string { return nil }, Mutating: func() string { return "" },
		Enqueue:      func(name string) { b.queued = append(b.queued, name) },
		EnqueueAfter: func(string, time.Duration) {},
		Recorder:     b.recorder, Log: zap.NewNop(), Now: func() time.Time { return b.now },
		SystemNamespace: "revet-system", ProbeNamespace: gate.ProbeNamespace,
		Rate: b.rate, Window: gate.DefaultBudgetWindow, Limits: gate.LimitsOf(gate.DefaultSplit),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.reconciler, b.promoted = r, nil
	err = r.Promote(reconciler.UniversalBucket(), func(_ reconciler.Bucket, name types.NamespacedName) {
		b.promoted = append(b.promoted, name.Name)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(b.promoted)
}

// pass lets some seconds go by, and has the gate looked at in each.
func (b *bed) pass(seconds int) error {
	b.t.Helper()
	var err error
	for range seconds {
		b.now = b.now.Add(time.Second)
		err = b.reconciler.Reconcile(b.t.Context(), bedGate)
	}
	return err
}

func (b *bed) mustPass(seconds int) {
	b.t.Helper()
	if err := b.pass(seconds); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) read() *v1alpha1.ImageGate {
	b.t.Helper()
	g := &v1alpha1.ImageGate{}
	if err := b.client.Get(b.t.Context(), client.ObjectKey{Name: bedGate}, g); err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bed) edit(change func(*v1alpha1.ImageGateSpec)) {
	b.t.Helper()
	g := b.read()
	change(&g.Spec)
	g.Generation++
	if err := b.client.Update(b.t.Context(), g); err != nil {
		b.t.Fatal(err)
	}
}

// ready is the condition Ready in words.
func (b *bed) ready() string {
	b.t.Helper()
	c := meta.FindStatusCondition(b.read().Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}

// record notes what became of a digest of one letter that was pushed as r.example/app:TAG.
func (b *bed) record(digit, tag string, outcome v1alpha1.Outcome) {
	b.t.Helper()
	pushed := v1alpha1.PushRecord{Tag: tag, PushedAt: metav1.NewTime(noon), Sequence: 1}
	e := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "verify", Name: "entry-" + digit + tag},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "all", UID: "t1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "r.example/app"},
			Digest:     "sha256:" + hexOfDigit(digit), FirstPush: pushed,
		},
	}
	err := b.client.Create(b.t.Context(), e)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		b.t.Fatal(err)
	}
	if err := b.client.Get(b.t.Context(), client.ObjectKeyFromObject(e), e); err != nil {
		b.t.Fatal(err)
	}
	e.Status.Phase = v1alpha1.PhasePassed
	if outcome == v1alpha1.OutcomeFail {
		e.Status.Phase = v1alpha1.PhaseFailed
	}
	e.Status.Verdict = &v1alpha1.Verdict{Outcome: outcome, At: metav1.NewTime(noon)}
	if err := b.client.Status().Update(b.t.Context(), e); err != nil {
		b.t.Fatal(err)
	}
	b.reconciler.EntryHandler().OnUpdate(nil, e)
}

// written are the digits of the digests that are looked up, and the tags.
func (b *bed) written() (digests string, tags map[string]string) {
	b.t.Helper()
	var all v1alpha1.VerifiedImagesList
	if err := b.client.List(b.t.Context(), &all); err != nil {
		b.t.Fatal(err)
	}
	var digits []string
	for i := range all.Items {
		for hex := range all.Items[i].Digests {
			digits = append(digits, hex[:1])
		}
		if all.Items[i].Tags != nil {
			tags = all.Items[i].Tags
		}
	}
	slices.Sort(digits)
	return strings.Join(digits, ""), tags
}

func (b *bed) policies() []admissionv1.ValidatingAdmissionPolicy {
	b.t.Helper()
	var all admissionv1.ValidatingAdmissionPolicyList
	if err := b.client.List(b.t.Context(), &all); err != nil {
		b.t.Fatal(err)
	}
	return all.Items
}

func (b *bed) bindings() []admissionv1.ValidatingAdmissionPolicyBinding {
	b.t.Helper()
	var all admissionv1.ValidatingAdmissionPolicyBindingList
	if err := b.client.List(b.t.Context(), &all); err != nil {
		b.t.Fatal(err)
	}
	return all.Items
}
