package app

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/source/registry"
)

const ociLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

func fullDigest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func runnableImage(t *testing.T, digest string) *imagev1.Image {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{"Architecture": "amd64", "Config": map[string]any{"Cmd": []string{"/app"}, "Labels": map[string]string{"tier": "prod", "other": "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &imagev1.Image{
		ObjectMeta:                   metav1.ObjectMeta{Name: digest},
		DockerImageManifestMediaType: "application/vnd.oci.image.manifest.v1+json",
		DockerImageLayers:            []imagev1.ImageLayer{{Name: fullDigest("f"), LayerSize: 100, MediaType: ociLayer}},
		DockerImageMetadata:          runtime.RawExtension{Raw: metadata},
	}
}

func factsWorld(t *testing.T, objects ...client.Object) *factsReader {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	nothingAllowed := func(string, string) (bool, bool) { return false, false }
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	return &factsReader{live: live, registry: registry.NewReader(registry.New(nothingAllowed), live, time.Now)}
}

// reader reads the site's registry, and no other, without credentials.
func (s *site) reader(t *testing.T) *registry.Reader {
	t.Helper()
	allowed := func(host, _ string) (insecure, ok bool) { return true, host == s.host }
	return registry.NewReader(registry.New(allowed), factsWorld(t).live, time.Now)
}

func pushOf(kind v1alpha1.RepositoryKind, digest string) (*v1alpha1.ImageTrigger, *v1alpha1.ImageVerification) {
	e := &v1alpha1.ImageVerification{}
	e.Spec.Repository = v1alpha1.RepositoryReference{Kind: kind, Name: "demo/app", Pull: "registry.example.com/demo/app"}
	e.Spec.Digest = digest
	return &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "all"}}, e
}

func TestFactsComeFromTheImageObject(t *testing.T) {
	f := factsWorld(t, runnableImage(t, fullDigest("a")))
	trigger, entry := pushOf(v1alpha1.RepositoryImageStream, fullDigest("a"))
	got, err := f.Read(t.Context(), trigger, entry, []string{"tier"})
	if err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.ImageFacts{
		MediaType: "application/vnd.oci.image.manifest.v1+json", Platforms: []string{"linux/amd64"},
		Labels: map[string]string{"tier": "prod"}, Layers: 1, Size: 100, Source: "Image",
	}
	if diff := cmp.Diff(want, got.Facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if got.Recomputed {
		t.Error("what somebody wrote counts as recomputed")
	}
}

// Where a filter decides whether there is a run, facts are what the registry has, not
// what somebody wrote; where it cannot be read, what was written is shown and decides
// nothing.
func TestFactsForAFilterComeFromTheRegistry(t *testing.T) {
	s := newSite(t)
	real := s.push("demo/app:v1", randomImage(t))
	signature := s.push("demo/app:sig", artefact())
	allowed := s.reader(t)
	for _, test := range []struct {
		name, digest, filter string
		registry             *registry.Reader
		source               string
		runnable             bool
	}{
		{"a filter", real, "image.labels['tier'] == 'prod'", allowed, "Registry", true},
		{"a filter, and a registry that may not be asked", real, "image.labels['tier'] == 'prod'", factsWorld(t).registry, "Image", true},
		{"no filter, and an Image that shows that it runs", signature, "", allowed, "Image", true},
		{"a filter, and an artefact that is shown as an image", signature, "image.size > 1", allowed, "Registry", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := factsWorld(t, runnableImage(t, test.digest))
			f.registry = test.registry
			trigger, entry := pushOf(v1alpha1.RepositoryImageStream, test.digest)
			trigger.Spec.Filter, entry.Spec.Repository.Pull = test.filter, s.host+"/demo/app"
			got, err := f.Read(t.Context(), trigger, entry, []string{"tier"})
			if err != nil {
				t.Fatal(err)
			}
			if got.Facts.Source != test.source || got.Recomputed != (test.source == "Registry") || got.Content.Runnable() != test.runnable {
				t.Errorf("facts %+v, want them from %s, runnable %t", got, test.source, test.runnable)
			}
			if test.source == "Registry" && got.Facts.Labels["tier"] != "" {
				t.Errorf("labels %v were written by somebody", got.Facts.Labels)
			}
		})
	}
}

func TestFactsOfAnIndexAddItsChildrenUp(t *testing.T) {
	index := &imagev1.Image{
		ObjectMeta:                   metav1.ObjectMeta{Name: fullDigest("a")},
		DockerImageManifestMediaType: "application/vnd.oci.image.index.v1+json",
		DockerImageManifests: []imagev1.ImageManifest{
			{Digest: fullDigest("b"), OS: "linux", Architecture: "amd64"},
			{Digest: fullDigest("c"), OS: "linux", Architecture: "arm64"},
			{Digest: fullDigest("d"), OS: "linux", Architecture: "s390x"}, // not there
		},
	}
	f := factsWorld(t, index, runnableImage(t, fullDigest("b")), runnableImage(t, fullDigest("c")))
	trigger, entry := pushOf(v1alpha1.RepositoryImageStream, fullDigest("a"))
	got, err := f.Read(t.Context(), trigger, entry, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Facts.Layers != 2 || got.Facts.Size != 200 || len(got.Facts.Platforms) != 3 || !got.Content.Runnable() {
		t.Errorf("facts %+v, content %+v; want 2 layers, 200 bytes, 3 platforms, runnable", got.Facts, got.Content)
	}
}

// The list of an image's reports is told from an image by its children, which the
// registry has where there is no Image of them; what cannot be known is run.
func TestListsOfReportsCannotRun(t *testing.T) {
	s := newSite(t)
	list := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: artefact()})
	reports := s.push("demo/app:sha256-"+strings.Repeat("a", 64), list)
	withImage := s.push("demo/app:v1", mutate.AppendManifests(list, mutate.IndexAddendum{Add: randomImage(t)}))
	allowed := s.reader(t)
	for _, test := range []struct {
		name     string
		digest   string
		child    imagev1.ImageManifest
		registry *registry.Reader
		want     bool
	}{
		{"a list of reports", reports, imagev1.ImageManifest{Digest: fullDigest("b")}, allowed, false},
		{"a list that an image is in", withImage, imagev1.ImageManifest{Digest: fullDigest("b")}, allowed, true},
		{"an index for a platform, which is not asked for", reports, imagev1.ImageManifest{Digest: fullDigest("b"), OS: "linux"}, allowed, true},
		{"a registry that may not be asked", reports, imagev1.ImageManifest{Digest: fullDigest("b")}, factsWorld(t).registry, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := factsWorld(t, &imagev1.Image{
				ObjectMeta:                   metav1.ObjectMeta{Name: test.digest},
				DockerImageManifestMediaType: "application/vnd.oci.image.index.v1+json",
				DockerImageManifests:         []imagev1.ImageManifest{test.child},
			})
			f.registry = test.registry
			trigger, entry := pushOf(v1alpha1.RepositoryImageStream, test.digest)
			entry.Spec.Repository.Pull = s.host + "/demo/app"
			got, err := f.Read(t.Context(), trigger, entry, nil)
			if err != nil || got.Content.Runnable() != test.want {
				t.Errorf("content %+v, %v; want runnable %t", got, err, test.want)
			}
		})
	}
}

func TestFactsThatCannotBeHad(t *testing.T) {
	for _, test := range []struct {
		name  string
		kind  v1alpha1.RepositoryKind
		final bool
	}{
		{"an ImageStream whose Image is gone, and whose registry is not listed, is final", v1alpha1.RepositoryImageStream, true},
		{"a registry that is not listed is not: the operator may list it", v1alpha1.RepositoryRegistry, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := factsWorld(t)
			trigger, entry := pushOf(test.kind, fullDigest("a"))
			got, err := f.Read(t.Context(), trigger, entry, nil)
			if err == nil || got != nil || errors.Is(err, imageverification.ErrNoFacts) != test.final {
				t.Errorf("Read = %v, %v; want an error that is final: %v", got, err, test.final)
			}
		})
	}
}
