//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// The full report of a run is beside the image, for a stock client that has the
// digest only; and neither the report nor the list of reports starts a run.
func TestReportsAreBesideTheImage(t *testing.T) {
	w := newEnv(t, "e2e-reports", stack.Direct)
	w.ready(t, stack.Direct)
	// The registry keeps what earlier runs pushed, and the cluster finds it.
	app := fmt.Sprintf("app-%d", time.Now().Unix())
	digest := w.push(t, app+":1", images.Bad())
	entry := w.verdict(t, digest)
	if entry.Status.Phase != v1alpha1.PhaseFailed {
		t.Fatalf("phase = %s (%s: %s), want Failed", entry.Status.Phase, entry.Status.Reason, entry.Status.Message)
	}
	run := entry.Status.Runs[0]
	_, reported, ok := strings.Cut(run.Report, "@")
	if !ok {
		t.Fatalf("the run's report is %q; its summary: %s", run.Report, run.Summary)
	}

	repository := cluster.Info.RegistryHost + "/" + w.namespace + "/" + app
	ref, err := name.NewDigest(repository+"@"+digest, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(ref)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	byType := map[string]string{}
	for _, m := range list.Manifests {
		byType[m.ArtifactType] = m.Digest.String()
	}
	if byType["application/sarif+json"] != reported {
		t.Errorf("the report %s is not among the referrers: %+v", reported, list.Manifests)
	}
	if content := readArtifact(t, ref.Context(), reported); !strings.Contains(content, `"ruleId": "non-root"`) {
		t.Errorf("the report does not tell of non-root: %s", content)
	}
	if content := readArtifact(t, ref.Context(), byType["application/vnd.cyclonedx+json"]); !strings.Contains(content, `"bomFormat": "CycloneDX"`) || !strings.Contains(content, digest) {
		t.Errorf("the SBOM is none of the image: %s", content)
	}

	// A push after the report was there is seen after it, too.
	later := w.push(t, app+":2", images.Good())
	if entry := w.verdict(t, later); entry.Status.Phase != v1alpha1.PhasePassed {
		t.Errorf("phase = %s (%s: %s), want Passed", entry.Status.Phase, entry.Status.Reason, entry.Status.Message)
	}
	w.onlySkipped(t, app, digest, later)
}

// readArtifact reads the one blob of an artefact with a stock client.
func readArtifact(t *testing.T, repository name.Repository, digest string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), crane, "manifest", repository.Digest(digest).String()).Output()
	if err != nil {
		t.Fatalf("crane manifest %s: %v", digest, err)
	}
	var manifest struct {
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal(out, &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("manifest %s, %v", out, err)
	}
	content, err := exec.CommandContext(t.Context(), crane, "blob", repository.Digest(manifest.Layers[0].Digest).String()).Output()
	if err != nil {
		t.Fatalf("crane blob: %v", err)
	}
	return string(content)
}

// onlySkipped waits until whatever else was recorded of a repository was skipped
// without a run.
func (w *env) onlySkipped(t *testing.T, repository string, digests ...string) {
	t.Helper()
	var last string
	await(t, verdictTimeout, func() string { return "other entries being skipped: " + last }, func(ctx context.Context) (bool, error) {
		var entries v1alpha1.ImageVerificationList
		if err := w.client.List(ctx, &entries, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		for _, e := range entries.Items {
			if !strings.HasSuffix(e.Spec.Repository.Pull, "/"+repository) || slices.Contains(digests, e.Spec.Digest) {
				continue
			}
			last = e.Name + " is " + string(e.Status.Phase)
			if len(e.Status.Runs) > 0 {
				t.Fatalf("%s of tag %s was run", e.Spec.Digest, e.Spec.FirstPush.Tag)
			}
			if e.Status.Phase != v1alpha1.PhaseSkipped {
				return false, nil
			}
		}
		return true, nil
	})
}
