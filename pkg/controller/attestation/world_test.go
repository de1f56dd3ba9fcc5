package attestation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	controller "github.com/revet-dev/revet/pkg/controller/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/sigstore"
)

var (
	key   = types.NamespacedName{Namespace: "verification", Name: "app-1"}
	began = time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
)

// world is a cluster with one entry, of an index with three images, of which the run looked at
// two, in a real registry. Time passes only when told to.
type world struct {
	t        *testing.T
	client   client.Client
	server   *httptest.Server
	host     string
	root     image.Digest
	children []image.Digest
	other    image.Digest // an index that has the first of them, too
	now      time.Time
	ring     attestation.Ring
	files    map[string][]byte
	options  controller.Options
	events   *record.FakeRecorder
	again    time.Duration
	r        *controller.Reconciler
}

func newWorld(t *testing.T, handler http.Handler) *world {
	t.Helper()
	w := &world{t: t, now: began.Add(time.Hour), events: record.NewFakeRecorder(1000), server: httptest.NewServer(handler)}
	t.Cleanup(w.server.Close)
	w.host = strings.TrimPrefix(w.server.URL, "http://")
	w.push()
	w.keys(map[string][]byte{"2026-01-01.pem": newKey(t)})
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&v1alpha1.ImageVerification{}, &v1alpha1.ImageTrigger{}).
		WithObjects(w.trigger(), w.entry()).Build()
	w.options = controller.Options{
		Cached: trimmed{w.client}, Live: w.client, Lease: always{}, Open: w.open,
		Keys: func() attestation.Ring { return w.ring }, Trusts: func(ns, name string) bool { return ns == "verification" && name == "all" },
		Verifier: attestation.Verifier{ID: attestation.DefaultVerifierID, Version: "v1", Cluster: "prod-1"}, Recheck: 6 * time.Hour,
		Enqueue: func(types.NamespacedName) {}, EnqueueAfter: func(_ types.NamespacedName, after time.Duration) { w.again = after },
		Recorder: w.events, Log: zap.NewNop(), Now: func() time.Time { return w.now }, Jitter: func() float64 { return 0.5 },
	}
	w.restart()
	return w
}

// trimmed reads as the program's cache does.
type trimmed struct{ client.Reader }

func (c trimmed) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if err := c.Reader.Get(ctx, key, into, opts...); err != nil {
		return err
	}
	kept, err := controller.Trim(into.DeepCopyObject())
	if err != nil {
		return err
	}
	switch o := into.(type) {
	case *v1alpha1.ImageVerification:
		*o = *kept.(*v1alpha1.ImageVerification)
	case *v1alpha1.ImageTrigger:
		*o = *kept.(*v1alpha1.ImageTrigger)
	}
	return nil
}

// always holds the lease.
type always struct{}

func (always) Hold(ctx context.Context, _ types.NamespacedName) (context.Context, func(), bool) {
	return ctx, func() {}, true
}

func newKey(t *testing.T) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, private)
}

func newEd25519(t *testing.T) []byte {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, private)
}

func pemOf(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// keys puts a ring in force.
func (w *world) keys(files map[string][]byte) {
	w.t.Helper()
	var err error
	if w.ring, err = attestation.ParseRing(files); err != nil {
		w.t.Fatal(err)
	}
	w.files = files
}

// push puts an index with three images into the registry.
func (w *world) push() {
	w.t.Helper()
	repository, err := name.NewRepository(w.host+"/team/app", name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	index := v1.ImageIndex(empty.Index)
	var images []v1.Image
	for range 3 {
		img, err := random.Image(32, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img})
		images, w.children = append(images, img), append(w.children, digestOf(w.t, img))
	}
	other := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: images[0]})
	for tag, i := range map[string]v1.ImageIndex{"1.0": index, "2.0": other} {
		if err := remote.WriteIndex(repository.Tag(tag), i); err != nil {
			w.t.Fatal(err)
		}
	}
	w.root, w.other = digestOf(w.t, index), digestOf(w.t, other)
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) image.Digest {
	t.Helper()
	h, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	d, err := image.ParseDigest(h.String())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) repository() image.Repository {
	w.t.Helper()
	r, err := image.ParseRepository(w.host + "/team/app")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) trigger() *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "all", UID: "uid-1", Generation: 1},
		Spec:       v1alpha1.ImageTriggerSpec{Attest: &v1alpha1.Attest{MaxAge: metav1.Duration{Duration: 240 * time.Hour}}},
	}
}

func (w *world) entry() *v1alpha1.ImageVerification {
	children := []v1alpha1.ChildImage{
		{Digest: w.children[0].String(), Platform: "linux/amd64"}, {Digest: w.children[1].String(), Platform: "linux/arm64"},
		{Digest: w.children[2].String(), Platform: "windows/amd64"},
	}
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: "uid-2", Labels: map[string]string{v1alpha1.TriggerUIDLabel: "uid-1"}},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "all", UID: "uid-1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: w.host + "/team/app", Pull: w.host + "/team/app"},
			Digest:     w.root.String(),
		},
		Status: v1alpha1.ImageVerificationStatus{
			Phase: v1alpha1.PhasePassed, Image: &v1alpha1.ImageFacts{Children: children},
			Verdict: &v1alpha1.Verdict{
				Outcome: v1alpha1.OutcomePass, Run: "run-1", Number: 1, At: metav1.NewTime(began),
				Platforms: []string{"linux/amd64", "linux/arm64"}, Unselected: 1,
			},
		},
	}
}

// open reaches the registry as the program does.
func (w *world) open(_ string, r image.Repository) (controller.Registry, error) {
	trust, err := fetch.NewTrust([]string{w.host}, nil)
	if err != nil {
		return nil, err
	}
	to, err := publish.NewRegistry(r, fetch.Options{Trust: trust, Patience: fetch.Patience{Pause: time.Millisecond, Repeats: 1}})
	if err != nil {
		return nil, err
	}
	return to.WithPause(time.Millisecond), nil
}

// restart replaces the process.
func (w *world) restart() {
	w.t.Helper()
	r, err := controller.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		w.t.Fatal(err)
	}
	w.r = r
}

func (w *world) reconcile() error { return w.r.Reconcile(w.t.Context(), key.String()) }

func (w *world) mustReconcile() {
	w.t.Helper()
	if err := w.reconcile(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read() *v1alpha1.ImageVerification {
	w.t.Helper()
	var e v1alpha1.ImageVerification
	if err := w.client.Get(w.t.Context(), key, &e); err != nil {
		w.t.Fatal(err)
	}
	return &e
}

// judged gives the entry another verdict.
func (w *world) judged(run string, outcome v1alpha1.Outcome, at time.Time) {
	w.t.Helper()
	e := w.read()
	e.Status.Verdict.Run, e.Status.Verdict.Outcome, e.Status.Verdict.At = run, outcome, metav1.NewTime(at)
	if err := w.client.Status().Update(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
}

// asks changes whether the trigger asks.
func (w *world) asks(a *v1alpha1.Attest) {
	w.t.Helper()
	var trigger v1alpha1.ImageTrigger
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Namespace: key.Namespace, Name: "all"}, &trigger); err != nil {
		w.t.Fatal(err)
	}
	trigger.Spec.Attest = a
	if err := w.client.Update(w.t.Context(), &trigger); err != nil {
		w.t.Fatal(err)
	}
}

// states are those of the entry's attestations.
func (w *world) states() []v1alpha1.AttestationState {
	w.t.Helper()
	var all []v1alpha1.AttestationState
	for _, a := range w.read().Status.Attestations {
		all = append(all, a.State)
	}
	return all
}

// holds returns the summaries that a consumer finds beside an image, by the key that signs.
func (w *world) holds(d image.Digest) []attestation.Summary {
	w.t.Helper()
	repository, err := name.NewRepository(w.host+"/team/app", name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	index, err := remote.Referrers(repository.Digest(d.String()))
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		w.t.Fatal(err)
	}
	var all []attestation.Summary
	for _, entry := range list.Manifests {
		img, err := remote.Image(repository.Digest(entry.Digest.String()))
		if err != nil {
			w.t.Fatalf("the list names %s: %v", entry.Digest, err)
		}
		m, err := img.Manifest()
		if err != nil {
			w.t.Fatal(err)
		}
		if string(m.Layers[0].MediaType) != sigstore.BundleType {
			continue // another's
		}
		layer, err := remote.Layer(repository.Digest(m.Layers[0].Digest.String()))
		if err != nil {
			w.t.Fatal(err)
		}
		body, err := layer.Compressed()
		if err != nil {
			w.t.Fatal(err)
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			w.t.Fatal(err)
		}
		v, err := attestation.Verify(raw, attestation.Expectation{Keys: w.public(), Image: w.repository().At(d), Now: w.now})
		if err != nil {
			w.t.Errorf("beside %s: %v", d, err)
		}
		all = append(all, v.Summary)
	}
	return all
}

// public are the keys by which a consumer verifies.
func (w *world) public() []sigstore.Key {
	w.t.Helper()
	var all []sigstore.Key
	for file, private := range w.files {
		block, _ := pem.Decode(private)
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			w.t.Fatal(err)
		}
		var k sigstore.Key
		switch p := parsed.(type) {
		case *ecdsa.PrivateKey:
			k, err = sigstore.NewKey(file, &p.PublicKey)
		case ed25519.PrivateKey:
			k, err = sigstore.NewKey(file, p.Public())
		}
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

// wantRuns checks that each image that was looked at has exactly these runs' statements, and the
// one that was not has none.
func (w *world) wantRuns(runs ...string) {
	w.t.Helper()
	for _, d := range []image.Digest{w.root, w.children[0], w.children[1]} {
		var got []string
		for _, s := range w.holds(d) {
			got = append(got, s.Looked.Run)
		}
		if strings.Join(got, " ") != strings.Join(runs, " ") {
			w.t.Errorf("beside %s are statements of %q, want %q", d, got, runs)
		}
	}
	if got := w.holds(w.children[2]); len(got) != 0 {
		w.t.Errorf("beside the image that nobody looked at: %+v", got)
	}
}

func (w *world) told() string {
	var all []string
	for {
		select {
		case e := <-w.events.Events:
			all = append(all, e)
		default:
			return strings.Join(all, "\n")
		}
	}
}

func quiet(options ...registry.Option) http.Handler {
	return registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
}

// openshift behaves as OpenShift's integrated registry: without referrers, and it refuses an
// index with a child that has no platform.
func openshift(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			var index v1.IndexManifest
			if json.Unmarshal(body, &index) == nil {
				for _, m := range index.Manifests {
					if m.Platform == nil || m.Platform.OS == "" || m.Platform.Architecture == "" {
						w.WriteHeader(http.StatusInternalServerError)
						_, _ = io.WriteString(w, `{"errors":[{"code":"UNKNOWN","detail":{"message":"Image \"x\" is invalid: architecture: Required value"}}]}`)
						return
					}
				}
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		next.ServeHTTP(w, r)
	})
}
