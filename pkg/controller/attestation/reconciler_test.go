package attestation_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/types"
	knative "knative.dev/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	controller "github.com/revet-dev/revet/pkg/controller/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
)

var (
	published  = []v1alpha1.AttestationState{v1alpha1.AttestationPublished}
	notRemoved = []v1alpha1.AttestationState{v1alpha1.AttestationNotRemoved}
)

// A pass is attached to the index and to each image that was looked at, in every kind of
// registry, and when the verdict turns it is gone.
func TestAttested(t *testing.T) {
	for kind, handler := range map[string]http.Handler{
		"referrers API": quiet(registry.WithReferrersSupport(true)), "fallback tag": quiet(), "OpenShift's": openshift(quiet()),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, handler)
			w.mustReconcile()
			w.wantRuns("run-1")
			e := w.read()
			if diff := cmp.Diff(published, w.states()); diff != "" {
				t.Fatalf("states (-want +got):\n%s", diff)
			}
			if a := e.Status.Attestations[0]; a.Run != "run-1" || len(a.Subjects) != 3 || len(a.Subjects[0].Manifests) != 1 || !strings.HasPrefix(a.Key, "2026-01-01:") {
				t.Errorf("recorded is %+v", a)
			}
			if told := w.told(); !strings.Contains(told, "Attested the verdict of run run-1 is attached to 3 images") {
				t.Errorf("events are %s", told)
			}
			before := e.ResourceVersion
			w.mustReconcile()
			if after := w.read().ResourceVersion; after != before {
				t.Error("a second pass writes again")
			}
			w.judged("run-2", v1alpha1.OutcomeFail, w.now)
			w.mustReconcile()
			w.wantRuns()
			if got := w.read().Status.Attestations; len(got) != 0 {
				t.Errorf("after the verdict turned, %+v is recorded", got)
			}
		})
	}
}

// Nothing is written for a trigger that does not ask, that the operator does not list, or for a
// verdict that is no pass.
func TestNotAttested(t *testing.T) {
	for name, change := range map[string]func(*world){
		"nobody asks":       func(w *world) { w.asks(nil) },
		"nobody trusts it":  func(w *world) { w.options.Trusts = func(string, string) bool { return false }; w.restart() },
		"it failed":         func(w *world) { w.judged("run-1", v1alpha1.OutcomeFail, began) },
		"there is no key":   func(w *world) { w.keys(nil) },
		"it is too old":     func(w *world) { w.now = began.Add(240 * time.Hour) },
		"nobody leads here": func(w *world) { w.r.Demote(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int64
			real := quiet()
			w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet && r.Method != http.MethodHead {
					writes.Add(1)
				}
				real.ServeHTTP(w, r)
			}))
			if name == "nobody leads here" {
				r, err := controller.New(w.options)
				if err != nil {
					t.Fatal(err)
				}
				w.r = r
			} else {
				change(w)
			}
			before := writes.Load()
			if err := w.reconcile(); err != nil {
				if skip, _ := knative.IsRequeueKey(err); skip || name != "nobody leads here" {
					t.Error(err)
				}
			}
			if writes.Load() != before || len(w.read().Status.Attestations) != 0 {
				t.Errorf("%d writes, recorded is %+v", writes.Load()-before, w.read().Status.Attestations)
			}
		})
	}
}

// However often a digest is verified again, there is one statement beside each image: that of
// the newest verdict.
func TestReverified(t *testing.T) {
	w := newWorld(t, quiet(registry.WithReferrersSupport(true)))
	for i := range 5 {
		run := fmt.Sprint("run-", i)
		w.judged(run, v1alpha1.OutcomePass, began.Add(time.Duration(i)*time.Minute))
		w.mustReconcile()
		w.wantRuns(run)
		if diff := cmp.Diff(published, w.states()); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	}
}

// A registry that refuses to delete is told of once and tried again; in the end it is gone.
func TestNotRemoved(t *testing.T) {
	real := quiet(registry.WithReferrersSupport(true))
	var refuses atomic.Bool
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && refuses.Load() {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		real.ServeHTTP(w, r)
	}))
	w.mustReconcile()
	w.told()
	refuses.Store(true)
	w.judged("run-2", v1alpha1.OutcomeFail, w.now)
	for range 2 {
		w.mustReconcile()
	}
	if diff := cmp.Diff(notRemoved, w.states()); diff != "" {
		t.Fatalf("states (-want +got):\n%s", diff)
	}
	if a := w.read().Status.Attestations[0]; a.Reason != string(oci.ReasonPushRefused) || !strings.Contains(a.Message, "NotPassed") {
		t.Errorf("recorded is %+v", a)
	}
	if told := w.told(); strings.Count(told, "AttestationNotRemoved") != 1 {
		t.Errorf("events are %s", told)
	}
	if w.again < 59*time.Minute || w.again > time.Hour {
		t.Errorf("it is tried again after %s", w.again)
	}
	w.now = w.now.Add(time.Hour)
	w.mustReconcile()
	if told := w.told(); told != "" || w.again > time.Hour || !w.read().Status.Attestations[0].At.Time.Equal(w.now) {
		t.Errorf("the second time it is told of again: %s", told)
	}
	refuses.Store(false)
	w.now = w.now.Add(time.Hour)
	w.mustReconcile()
	w.wantRuns()
	if got := w.read().Status.Attestations; len(got) != 0 {
		t.Errorf("recorded is %+v", got)
	}
}

// A registry that refuses the push is told of, and the earlier statement stands meanwhile.
func TestNotPublished(t *testing.T) {
	real := quiet(registry.WithReferrersSupport(true))
	var refuses atomic.Bool
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && refuses.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		real.ServeHTTP(w, r)
	}))
	w.mustReconcile()
	refuses.Store(true)
	w.judged("run-2", v1alpha1.OutcomePass, began.Add(time.Minute))
	w.mustReconcile()
	if diff := cmp.Diff([]v1alpha1.AttestationState{v1alpha1.AttestationPublished, v1alpha1.AttestationNotPublished}, w.states()); diff != "" {
		t.Fatalf("states (-want +got):\n%s", diff)
	}
	w.wantRuns("run-1")
	if told := w.told(); !strings.Contains(told, "AttestationNotPublished") || !strings.Contains(told, "AccessDenied") {
		t.Errorf("events are %s", told)
	}
	refuses.Store(false)
	w.now = w.now.Add(time.Hour)
	w.mustReconcile()
	w.wantRuns("run-2")
	if diff := cmp.Diff(published, w.states()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// What the operator does not let be read is recorded, and published once it is allowed.
func TestRegistryNotAllowed(t *testing.T) {
	w := newWorld(t, quiet())
	allowed := false
	open := w.options.Open
	w.options.Open = func(namespace string, r image.Repository) (controller.Registry, error) {
		if !allowed {
			return nil, oci.Errorf(oci.ReasonRefused, "registry", "not listed")
		}
		return open(namespace, r)
	}
	w.restart()
	w.mustReconcile()
	if a := w.read().Status.Attestations; len(a) != 1 || a[0].State != v1alpha1.AttestationNotPublished || a[0].Reason != "AddressRefused" || len(a[0].Subjects[0].Manifests) != 0 {
		t.Fatalf("recorded is %+v", a)
	}
	allowed = true
	w.now = w.now.Add(time.Hour)
	w.mustReconcile()
	w.wantRuns("run-1")
	if diff := cmp.Diff(published, w.states()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// A key that is rotated keeps what it signed; one that is taken out takes it with it.
func TestKeys(t *testing.T) {
	w := newWorld(t, quiet())
	first, second := w.files["2026-01-01.pem"], newEd25519(t)
	w.mustReconcile()
	bundle := w.read().Status.Attestations[0].Bundle
	w.keys(map[string][]byte{"2026-01-01.pem": first, "2026-11-01.pem": second})
	w.mustReconcile()
	if got := w.read().Status.Attestations; len(got) != 1 || got[0].Bundle != bundle {
		t.Fatalf("with a newer key, recorded is %+v", got)
	}
	w.judged("run-2", v1alpha1.OutcomePass, began.Add(time.Minute))
	w.mustReconcile()
	w.wantRuns("run-2")
	if got := w.read().Status.Attestations; len(got) != 1 || !strings.HasPrefix(got[0].Key, "2026-11-01:") {
		t.Errorf("the newer key does not sign: %+v", got)
	}
	w.keys(nil)
	w.mustReconcile()
	if diff := cmp.Diff(published, w.states()); diff != "" {
		t.Errorf("without the Secret, states (-want +got):\n%s", diff)
	}
	w.keys(map[string][]byte{"2026-01-01.pem": first})
	w.mustReconcile()
	w.wantRuns("run-2")
	if got := w.read().Status.Attestations; len(got) != 1 || !strings.HasPrefix(got[0].Key, "2026-01-01:") {
		t.Errorf("after a key was revoked, recorded is %+v", got)
	}
}

// What another writer of the fallback list dropped, or somebody deleted, is published again; a
// new version of the program, which would write other bytes, makes another in its place.
func TestMended(t *testing.T) {
	for version, same := range map[string]bool{"v1": true, "v2": false} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t, quiet())
			w.mustReconcile()
			before := w.read().Status.Attestations[0].Bundle
			repository, err := name.NewRepository(w.host+"/team/app", name.Insecure)
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.Delete(repository.Tag("sha256-" + w.children[0].Hex())); err != nil {
				t.Fatal(err)
			}
			w.options.Verifier.Version = version
			w.restart()
			w.mustReconcile()
			if w.again != 3*time.Hour {
				t.Errorf("it is looked at again after %s", w.again)
			}
			w.now = w.now.Add(3 * time.Hour)
			w.mustReconcile()
			w.wantRuns("run-1")
			got := w.read().Status.Attestations
			if len(got) != 1 || got[0].State != v1alpha1.AttestationPublished || (got[0].Bundle == before) != same {
				t.Errorf("recorded is %+v, and was %s", got, before)
			}
			if w.again != 6*time.Hour {
				t.Errorf("it is looked at again after %s", w.again)
			}
		})
	}
}

// An image that two indexes share has a statement of each: neither replaces or removes the
// other's, nor is one of them published again and again.
func TestIndexesThatShareAnImage(t *testing.T) {
	w := newWorld(t, quiet())
	second := w.entry()
	second.Name, second.Spec.Digest, second.Status.Image.Children = "app-2", w.other.String(), second.Status.Image.Children[:1]
	second.Status.Verdict.Run, second.Status.Verdict.Platforms = "run-2", []string{"linux/amd64"}
	if err := w.client.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	both := func() {
		t.Helper()
		w.mustReconcile()
		if err := w.r.Reconcile(t.Context(), client.ObjectKeyFromObject(second).String()); err != nil {
			t.Fatal(err)
		}
	}
	runs := func() string {
		t.Helper()
		var all []string
		for _, s := range w.holds(w.children[0]) {
			all = append(all, s.Looked.Run)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	both()
	if got := runs(); got != "run-1 run-2" {
		t.Fatalf("beside the image are statements of %q", got)
	}
	w.judged("run-3", v1alpha1.OutcomeFail, w.now)
	both()
	if got := runs(); got != "run-2" {
		t.Errorf("after one of them failed, beside the image are statements of %q", got)
	}
}

// Without the lease nothing is sent, and the entry is looked at again.
func TestWithoutLease(t *testing.T) {
	w := newWorld(t, quiet())
	w.options.Lease = never{}
	w.restart()
	if again, _ := knative.IsRequeueKey(w.reconcile()); !again {
		t.Error("it is not looked at again")
	}
	w.wantRuns()
}

type never struct{}

func (never) Hold(context.Context, types.NamespacedName) (context.Context, func(), bool) {
	return nil, nil, false
}

// errDied is the end of the process.
var errDied = errors.New("the process died")

// mortal dies at one of its effects: before it, or after it.
type mortal struct {
	left  int
	after bool
}

func (m *mortal) effect(do func() error) error {
	m.left--
	if m.left < 0 {
		return errDied // it is dead already
	}
	if m.left == 0 && !m.after {
		return errDied
	}
	if err := do(); err != nil {
		return err
	}
	if m.left == 0 {
		return errDied
	}
	return nil
}

type mortalRegistry struct {
	controller.Registry
	*mortal
}

func (r mortalRegistry) Push(ctx context.Context, a publish.Artifact) (d image.Digest, err error) {
	return d, r.effect(func() (err error) { d, err = r.Registry.Push(ctx, a); return err })
}

func (r mortalRegistry) Remove(ctx context.Context, subject image.Digest, manifests ...image.Digest) error {
	return r.effect(func() error { return r.Registry.Remove(ctx, subject, manifests...) })
}

type mortalClient struct {
	client.Client
	*mortal
}

func (c mortalClient) Status() client.SubResourceWriter {
	return mortalStatus{c.Client.Status(), c.mortal}
}

type mortalStatus struct {
	client.SubResourceWriter
	*mortal
}

func (s mortalStatus) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.effect(func() error { return s.SubResourceWriter.Update(ctx, o, opts...) })
}

// A process that dies before or after any of its effects leaves nothing that the next one does
// not finish: one statement beside each image, of the newest pass, and none after a fail. This
// holds if the next one is of another version, too, which makes other bytes.
func TestCrashAtEveryEffect(t *testing.T) {
	registries := map[string]func() http.Handler{
		"referrers API": func() http.Handler { return quiet(registry.WithReferrersSupport(true)) },
		"fallback tag":  func() http.Handler { return quiet() },
	}
	for kind, handler := range registries {
		for _, after := range []bool{false, true} {
			for _, version := range []string{"v1", "v2"} {
				t.Run(fmt.Sprintf("%s, after %t, then %s", kind, after, version), func(t *testing.T) {
					t.Parallel()
					for n := 1; crashed(t, handler(), n, after, version); n++ {
						if n > 40 {
							t.Fatal("the effects do not end")
						}
					}
				})
			}
		}
	}
}

// crashed plays a first pass, a renewal and a turn, and dies at the n-th effect. It returns
// false if there are fewer.
func crashed(t *testing.T, handler http.Handler, n int, after bool, version string) bool {
	t.Helper()
	w := newWorld(t, handler)
	m := &mortal{left: n, after: after}
	open, live := w.options.Open, w.options.Live
	w.options.Open = func(namespace string, r image.Repository) (controller.Registry, error) {
		inner, err := open(namespace, r)
		return mortalRegistry{inner, m}, err
	}
	w.options.Live = mortalClient{live, m}
	w.restart()
	died := false
	step := func(runs ...string) {
		err := w.reconcile()
		if errors.Is(err, errDied) && !died {
			died = true
			w.options.Open, w.options.Live, w.options.Verifier.Version = open, live, version
			w.restart()
			err = w.reconcile()
		}
		if err != nil {
			t.Fatalf("effect %d: %v", n, err)
		}
		w.wantRuns(runs...)
		if got := w.states(); len(runs) == 1 && !slices.Equal(got, published) || len(runs) == 0 && len(got) != 0 {
			t.Errorf("effect %d: states are %v", n, got)
		}
	}
	step("run-1")
	w.judged("run-2", v1alpha1.OutcomePass, began.Add(time.Minute))
	step("run-2")
	w.judged("run-3", v1alpha1.OutcomeFail, began.Add(2*time.Minute))
	step()
	return died
}
