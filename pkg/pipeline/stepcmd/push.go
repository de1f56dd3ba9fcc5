package stepcmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/pipeline/sarif"
)

// The values of --publish.
const (
	publishNone      = "none"
	publishReferrers = "referrers"
	publishRequired  = "required"
)

func modeFlag(f *pflag.FlagSet, mode *string) {
	f.StringVar(mode, "publish", publishReferrers, "referrers, required or none")
}

func checkMode(mode string) error {
	switch mode {
	case publishNone, publishReferrers, publishRequired:
		return nil
	default:
		return fmt.Errorf("--publish is %q; accepted are %s, %s and %s", mode, publishReferrers, publishRequired, publishNone)
	}
}

// pushTo returns what pushes an artefact to registry and says so.
func pushTo(ctx context.Context, out io.Writer, registry *publish.Registry) func(publish.Artifact) (image.Digest, error) {
	return func(a publish.Artifact) (image.Digest, error) {
		digest, err := registry.Push(ctx, a)
		if err == nil {
			fmt.Fprintf(out, "published %s (%s, %d bytes) beside %s\n", digest, a.Type, len(a.Content), a.Subject.Digest)
		}
		return digest, err
	}
}

// reportOf returns the full report as an artefact beside the image or index that it is about.
func reportOf(subject oci.Descriptor, full []byte) publish.Artifact {
	return publish.Artifact{
		Subject: subject, Type: sarif.MediaType, Content: full, Title: sarifFile,
		Annotations: map[string]string{"org.opencontainers.image.created": time.Now().UTC().Format(time.RFC3339)},
	}
}
