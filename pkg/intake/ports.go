package intake

import (
	"context"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// Cluster reads from the API server, never from a cache. Its errors may pass.
type Cluster interface {
	// Stream returns nil for an ImageStream that does not exist.
	Stream(ctx context.Context, namespace, name string) (*openshift.StreamState, error)
	// Image returns what the Image object of a digest shows; the zero value if
	// there is none.
	Image(ctx context.Context, d image.Digest) (openshift.ImageState, error)
	// MayGet reports whether an account may get an ImageStream.
	MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error)
}

// Namespaces returns a namespace's labels; none for one that does not exist. Its errors may
// pass.
type Namespaces interface {
	Labels(ctx context.Context, namespace string) (map[string]string, error)
}

// Registry reads from registries with an account's credentials. A *source.Refusal lasts
// until somebody changes something; any other error may pass.
type Registry interface {
	// Head returns the digest that the registry claims for a tag.
	Head(ctx context.Context, r image.Repository, tag string, as source.Account) (image.Digest, error)
	// Tagged returns the digest of what a tag points to, recomputed from the bytes; claimed
	// is what Head returned.
	Tagged(ctx context.Context, r image.Repository, tag string, claimed image.Digest, as source.Account) (image.Digest, error)
	// Content reads a manifest by digest and recomputes the digest.
	Content(ctx context.Context, ref image.Reference, as source.Account) (image.Content, error)
}

// Ledger says what is covered, and records what is not.
type Ledger interface {
	Known(trigger *v1alpha1.ImageTrigger, r push.Repository) ledger.Coverage
	recorder.Ledger
}
