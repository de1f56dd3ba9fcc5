package sweep

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

// Cluster reads from the API server, never from a cache.
type Cluster interface {
	// EachStream calls each for the ImageStreams of a namespace, or of all if it
	// is empty, while it lists them. It may call it more than once for a stream.
	// openshift.ErrNoStreams means that the cluster has no such kind.
	EachStream(ctx context.Context, namespace string, each func(*openshift.StreamState)) error
	// Namespaces returns the labels of each namespace.
	Namespaces(ctx context.Context) (map[string]map[string]string, error)
	// MayGet reports whether an account may get an ImageStream, or any of the
	// namespace if name is empty.
	MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error)
}

// Images reads the Image objects of digests. Anybody may have written them, so they may only
// make Revet look at more.
type Images interface {
	// Image returns what the Image object of a digest shows; the zero value if there
	// is none.
	Image(ctx context.Context, d image.Digest) (openshift.ImageState, error)
}

// Registry reads from registries with an account's credentials. A *source.Refusal lasts
// until somebody changes something; any other error may pass.
type Registry interface {
	// Repositories calls each for the repositories of a host's catalogue.
	Repositories(ctx context.Context, host string, as source.Account, each func(image.Repository)) error
	// Tags calls each for the tags of a repository. After an error the list is not
	// complete.
	Tags(ctx context.Context, r image.Repository, as source.Account, each func(tag string)) error
	// Head returns the digest that the registry claims for a tag.
	Head(ctx context.Context, r image.Repository, tag string, as source.Account) (image.Digest, error)
	// Tagged returns the digest of what a tag points to, recomputed from the bytes; claimed
	// is what Head returned.
	Tagged(ctx context.Context, r image.Repository, tag string, claimed image.Digest, as source.Account) (image.Digest, error)
	// Content reads a manifest by digest and recomputes the digest.
	Content(ctx context.Context, ref image.Reference, as source.Account) (image.Content, error)
}

// Artefact is a push that is exempt, and why.
type Artefact struct {
	Repository push.Repository
	Tag        string
	Digest     image.Digest
	Why        image.Runnability
}

// Examiner learns what sweeps find out about pushes besides. Ignore is one that does not care.
type Examiner interface {
	// Exempted is called for what is exempt.
	Exempted(trigger *v1alpha1.ImageTrigger, a Artefact)
	// Doubted is called for a push that could not be read, before it is recorded.
	Doubted(trigger *v1alpha1.ImageTrigger, p push.Push, err error)
}

// Ignore is an Examiner that does nothing.
type Ignore struct{}

// Exempted implements Examiner.
func (Ignore) Exempted(*v1alpha1.ImageTrigger, Artefact) {}

// Doubted implements Examiner.
func (Ignore) Doubted(*v1alpha1.ImageTrigger, push.Push, error) {}

// Ledger says what is covered, and records what is not.
type Ledger interface {
	// Repositories returns those that the ledger has pushes of.
	Repositories(trigger *v1alpha1.ImageTrigger) []push.Repository
	Known(trigger *v1alpha1.ImageTrigger, r push.Repository) ledger.Coverage
	recorder.Ledger
}
