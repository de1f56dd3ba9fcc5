package triggers_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	local "github.com/revet-dev/revet/test/cluster/registry"
)

// Distribution has no referrers API, and whoever writes the fallback tag at the
// same time overwrites others: of eight artefacts that stock clients push at once,
// two were found. Of eight that the pipeline pushes, all are.
func TestReportsPushedAtOnceAreAllFound(t *testing.T) {
	r, err := local.Start(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("stop the registry: %v", err)
		}
	})
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(r.Addr()+"/team/app:v1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Head(tag)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.ParseDigest(desc.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	repository, err := image.ParseRepository(r.Addr() + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{r.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	const n = 8
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			to, err := publish.NewRegistry(repository, fetch.Options{Trust: trust})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := to.Push(t.Context(), publish.Artifact{
				Subject: oci.Descriptor{MediaType: string(desc.MediaType), Digest: digest, Size: desc.Size},
				Type:    fmt.Sprintf("application/vnd.example.%d", i), Content: []byte("{}"), Title: "report",
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	index, err := remote.Referrers(tag.Digest(desc.Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != n {
		t.Errorf("%d artefacts are found, %v; want %d", len(list.Manifests), err, n)
	}
}
