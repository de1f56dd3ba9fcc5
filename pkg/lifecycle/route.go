package lifecycle

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sandbox"
)

// RouteOf decides where the next run of an entry executes. The key is needed only if the
// trigger's sandbox is weighted. A trigger that is nil was deleted, and asks for nothing.
func RouteOf(e *v1alpha1.ImageVerification, t *v1alpha1.ImageTrigger, key []byte) (sandbox.Route, error) {
	if t == nil {
		return sandbox.Route{}, nil
	}
	digest, err := image.ParseDigest(e.Spec.Digest)
	if err != nil {
		return sandbox.Route{}, fmt.Errorf("entry %q: %w", e.Name, err)
	}
	img := sandbox.Image{Digest: digest, Repository: e.Spec.Repository.Name, Tags: e.TagNames()}
	missing, unable := t.IsSandboxMissing(), ""
	if last := e.Status.LatestRun(); last != nil && !missing && Reason(last.Reason) == SandboxUnavailable {
		unable = last.Message
	}
	return sandbox.Decide(t.Spec.Sandbox, key, img, missing, unable)
}
