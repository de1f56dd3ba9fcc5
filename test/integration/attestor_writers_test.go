package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	controller "github.com/revet-dev/revet/pkg/controller/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/pipeline/signature"
	"github.com/revet-dev/revet/pkg/sigstore"
	"github.com/revet-dev/revet/test/cluster/registry"
)

const (
	writerRounds = 100
	// atOnce is how many images are written about at once.
	atOnce     = 5
	sarif      = "application/sarif+json"
	strangers  = "application/vnd.example.signature"
	reverified = 200
)

// plainRegistry is Distribution as it comes, which has no referrers API. The cluster's own registry
// answers as OpenShift's does.
func plainRegistry(t *testing.T) string {
	t.Helper()
	r, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r.Addr()
}

func insecure(t *testing.T, host string) fetch.Options {
	t.Helper()
	trust, err := fetch.NewTrust([]string{host}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetch.Options{Trust: trust}
}

// imageOf is the image of an entry.
func imageOf(t *testing.T, e *v1alpha1.ImageVerification) (image.Repository, name.Digest) {
	t.Helper()
	repository, err := image.ParseRepository(e.Spec.Repository.Pull)
	if err != nil {
		t.Fatal(err)
	}
	at, err := name.NewDigest(e.Spec.Repository.Pull+"@"+e.Spec.Digest, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return repository, at
}

// typesBeside counts by type what a stock client finds beside an image.
func typesBeside(t *testing.T, at name.Digest) map[string]int {
	t.Helper()
	index, err := remote.Referrers(at)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, d := range list.Manifests {
		img, err := remote.Image(at.Context().Digest(d.Digest.String()))
		if err != nil {
			t.Fatalf("the list names %s: %v", d.Digest, err)
		}
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		found[string(m.Layers[0].MediaType)]++
	}
	return found
}

// attachAsCosign attaches something with the library that cosign writes with. It reads the list
// once, and stores it without looking again.
func attachAsCosign(at name.Digest) error {
	subject, err := remote.Head(at)
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json"), static.NewLayer([]byte(at.String()), strangers))
	if err != nil {
		return err
	}
	about, ok := mutate.Subject(img, *subject).(v1.Image)
	if !ok {
		return fmt.Errorf("%T is no image", about)
	}
	digest, err := about.Digest()
	if err != nil {
		return err
	}
	return remote.Write(at.Context().Digest(digest.String()), about)
}

// Property: the step that publishes reports, cosign's writer and the attestor write at once to one
// list, in a registry that has nothing else, 100 times. In the end each list has one report and one
// statement. What cosign stores in the same instant as one of them cannot be seen by anybody, and
// cosign does not look again: how often that happened is told. What could be seen is not lost, which
// TestNothingIsLostToAWriterThatDoesNotLookAgain holds.
func TestThreeWritersOfOneList(t *testing.T) {
	ownCluster(t)
	dir := buildPrograms(t, "attestor")
	a := newAttestedSetup(t, plainRegistry(t))
	a.program(dir).start(t, "")
	var lost atomic.Int64
	var wait sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range writerRounds {
		places <- struct{}{}
		e := a.pushed(fmt.Sprintf("app-%d", i))
		wait.Go(func() {
			defer func() { <-places }()
			a.writtenAtOnce(e, &lost)
		})
	}
	wait.Wait()
	t.Logf("of %d lists, %d have lost what cosign wrote", writerRounds, lost.Load())
}

// writtenAtOnce lets all three write about one image.
func (a *attested) writtenAtOnce(e *v1alpha1.ImageVerification, lost *atomic.Int64) {
	repository, at := imageOf(a.t, e)
	to, err := publish.NewRegistry(repository, insecure(a.t, repository.Host()))
	if err != nil {
		a.t.Error(err)
		return
	}
	digest, err := image.ParseDigest(e.Spec.Digest)
	if err != nil {
		a.t.Error(err)
		return
	}
	subject, err := to.Describe(a.t.Context(), digest)
	if err != nil {
		a.t.Error(err)
		return
	}
	a.conclude(e, v1alpha1.OutcomePass, metav1.NewTime(time.Now().Truncate(time.Second)))
	within(a.t, time.Minute, "the attestor begins", func() error {
		if len(a.recordedOf(e)) == 0 {
			return fmt.Errorf("nothing is recorded of %s", e.Name)
		}
		return nil
	})
	var writers sync.WaitGroup
	writers.Go(func() {
		_, err := to.Push(a.t.Context(), publish.Artifact{Subject: subject, Type: sarif, Content: []byte("{}"), Title: "report"})
		if err != nil {
			a.t.Errorf("publishing a report of %s: %v", e.Name, err)
		}
	})
	writers.Go(func() {
		time.Sleep(rand.N(100 * time.Millisecond)) //nolint:forbidigo // cosign runs when somebody signs
		if err := attachAsCosign(at); err != nil {
			a.t.Errorf("signing %s: %v", e.Name, err)
		}
	})
	writers.Wait()
	within(a.t, time.Minute, "the verdict is attested", func() error {
		if all := a.recordedOf(e); len(all) != 1 || all[0].State != v1alpha1.AttestationPublished {
			return fmt.Errorf("recorded of %s is %+v", e.Name, all)
		}
		return nil
	})
	got := typesBeside(a.t, at)
	if got[sigstore.BundleType] != 1 || got[sarif] != 1 {
		a.t.Errorf("beside %s are %v", e.Name, got)
	}
	if got[strangers] != 1 {
		lost.Add(1)
	}
}

// countedSource counts what a look for signatures reads.
type countedSource struct {
	signature.Source
	reads int
}

func (s *countedSource) Manifest(ctx context.Context, reference string, limit int64) ([]byte, error) {
	s.reads++
	return s.Source.Manifest(ctx, reference, limit)
}

func (s *countedSource) Blob(ctx context.Context, d image.Digest, limit int64) ([]byte, error) {
	s.reads++
	return s.Source.Blob(ctx, d, limit)
}

// holding is a lease that is always held.
type holding struct{}

func (holding) Hold(ctx context.Context, _ types.NamespacedName) (context.Context, func(), bool) {
	return ctx, func() {}, true
}

// counted is a registry that keeps how many statements were beside the image at most, before and
// after each change, and which manifests it wrote.
type counted struct {
	controller.Registry
	most   *int
	wrote  *[]image.Digest
	beside func() int
}

func (c counted) Push(ctx context.Context, artifact publish.Artifact) (image.Digest, error) {
	d, err := c.Registry.Push(ctx, artifact)
	*c.wrote, *c.most = append(*c.wrote, d), max(*c.most, c.beside())
	return d, err
}

// Property: 200 verdicts of one digest leave one statement beside it, never more than two meanwhile,
// none of the older ones in the registry, and the look for signatures as it was.
func TestVerifiedAgainAndAgain(t *testing.T) {
	ownCluster(t)
	a := newAttestedSetup(t, plainRegistry(t))
	e := a.pushed("app")
	repository, at := imageOf(t, e)
	digest, err := image.ParseDigest(e.Spec.Digest)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := attestation.ParseRing(map[string][]byte{keyFile: readFile(t, a.keys+"/"+keyFile)})
	if err != nil {
		t.Fatal(err)
	}
	most, wrote := 0, []image.Digest{}
	r, err := controller.New(controller.Options{
		Cached: a.admin, Live: clientOf(t, account(t, systemNamespace, "attestor")), Lease: holding{},
		Open: func(_ string, where image.Repository) (controller.Registry, error) {
			to, err := publish.NewRegistry(where, insecure(t, where.Host()))
			if err != nil {
				return nil, err
			}
			return counted{to.WithPause(time.Millisecond), &most, &wrote, func() int { return typesBeside(t, at)[sigstore.BundleType] }}, nil
		},
		Keys: func() attestation.Ring { return ring }, Trusts: func(string, string) bool { return true },
		Verifier: attestation.Verifier{ID: attestation.DefaultVerifierID, Version: "v1", Cluster: "test"}, Recheck: time.Hour,
		Enqueue: func(types.NamespacedName) {}, EnqueueAfter: func(types.NamespacedName, time.Duration) {},
		Recorder: &record.FakeRecorder{}, Log: zap.NewNop(), Now: time.Now, Jitter: rand.Float64,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	look := func() (signature.Found, int) {
		t.Helper()
		from, err := signature.NewRemote(t.Context(), repository, insecure(t, repository.Host()))
		if err != nil {
			t.Fatal(err)
		}
		source := &countedSource{Source: from}
		found, err := signature.Look(t.Context(), source, digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		return found, source.reads
	}
	_, before := look()
	began := time.Now().Add(-reverified * time.Second).Truncate(time.Second)
	for i := range reverified {
		run := fmt.Sprintf("app-%d", i+1)
		eventually(t, "the status is written", func() error {
			if err := a.writer.Get(t.Context(), client.ObjectKeyFromObject(e), e); err != nil {
				return err
			}
			e.Status.Phase = v1alpha1.PhasePassed
			e.Status.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: run, At: metav1.NewTime(began.Add(time.Duration(i) * time.Second))}
			return a.writer.Status().Update(t.Context(), e)
		})
		if err := r.Reconcile(t.Context(), client.ObjectKeyFromObject(e).String()); err != nil {
			t.Fatalf("verdict %d: %v", i+1, err)
		}
		if all := a.recordedOf(e); len(all) != 1 || all[0].Run != run || all[0].State != v1alpha1.AttestationPublished {
			t.Fatalf("after verdict %d, recorded is %+v", i+1, all)
		}
	}
	if got := typesBeside(t, at); len(got) != 1 || got[sigstore.BundleType] != 1 || most > 2 || len(wrote) != reverified {
		t.Errorf("beside the image are %v, at most there were %d statements, and %d were written", got, most, len(wrote))
	}
	left := 0
	for _, d := range wrote {
		if _, err := remote.Head(at.Context().Digest(d.String())); err == nil {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d of the statements are left in the registry", left)
	}
	found, reads := look()
	result := signature.Judge(signature.Optional, digest, found)
	if len(found.By)+len(found.Refused)+len(found.Unread) != 0 || result.Errors != 0 || reads > before+2 {
		t.Errorf("found %+v, judged %+v, after %d reads; %d before", found, result, reads, before)
	}
}
