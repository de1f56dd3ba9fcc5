package registry_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source/registry"
)

type pushable interface {
	remote.Taggable
	digester
}

// The annotations of what was pushed are claims as the labels are.
func TestReadsWhatAnnotationsClaim(t *testing.T) {
	host := server(t, nil)
	repo := repository(t, host+"/shop/web")
	img := testImage(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img})
	says := func(revision string) map[string]string { return map[string]string{revisionName: revision} }
	annotated := func(what partial.WithRawManifest, revision string) pushable {
		p, ok := mutate.Annotations(what, says(revision)).(pushable)
		if !ok {
			t.Fatalf("%T cannot be pushed", what)
		}
		return p
	}
	for name, test := range map[string]struct {
		pushed  pushable
		want    string
		ignored v1alpha1.RevisionIgnored
	}{
		"an image's that agrees":     {annotated(img, "0abc"), "0abc", ""},
		"an image's that differs":    {annotated(img, "1abc"), "", v1alpha1.RevisionDiffers},
		"an index's that agrees":     {annotated(index, "0abc"), "0abc", ""},
		"an index's that differs":    {annotated(index, "1abc"), "", v1alpha1.RevisionDiffers},
		"an index's that is no word": {annotated(index, "1 abc"), "", v1alpha1.RevisionMalformed},
	} {
		push(t, host+"/shop/web:annotated", test.pushed)
		got, err := registry.New(plain(host)).Facts(t.Context(), repo.At(digestOf(t, test.pushed)), shop, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Image.ClaimedRevision != test.want || got.Image.RevisionIgnored != test.ignored {
			t.Errorf("%s: revision %q, ignored %q; want %q and %q", name,
				got.Image.ClaimedRevision, got.Image.RevisionIgnored, test.want, test.ignored)
		}
	}
}
