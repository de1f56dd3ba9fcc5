package imageverification

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Ledger writes the status of an entry once, against the resourceVersion that was read. A
// conflict is ledger.ErrConflict. Head is the newest push of a tag of the entry's
// repository, by the same trigger, and costs no request. Freshest is the later of an entry
// that the cache has and what this process wrote of it.
type Ledger interface {
	Freshest(cached *v1alpha1.ImageVerification) *v1alpha1.ImageVerification
	Head(entry *v1alpha1.ImageVerification, tag string) lifecycle.Head
	UpdateStatus(ctx context.Context, entry *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (*v1alpha1.ImageVerification, error)
}

// Sink sends the request for a run to the trigger's sink, once. Nil means that the
// sink took it. The error is a *tekton.SendError; after any other error the sink may
// have taken it too.
type Sink interface {
	Send(ctx context.Context, trigger *v1alpha1.ImageTrigger, entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) error
}

// Image is what is known of a digest.
type Image struct {
	Facts   v1alpha1.ImageFacts
	Content image.Content
	// Recomputed is true if both were read from bytes that have the digest. Otherwise they
	// are somebody's claim: they are shown, and end nothing without a run.
	Recomputed bool
}

// ErrNoFacts means that nobody has the image any more, so that reading it again does not help.
var ErrNoFacts = errors.New("neither the API server nor the registry has the image")

// Facts reads what is known of an entry's digest, with the named labels only.
type Facts interface {
	Read(ctx context.Context, trigger *v1alpha1.ImageTrigger, entry *v1alpha1.ImageVerification, labels []string) (*Image, error)
}

// Lease guards what only a leader may do. Hold returns false if this process does not lead
// the key now. Otherwise the context ends before the lease can, and this process keeps the
// lease until release is called.
type Lease interface {
	Hold(ctx context.Context, key types.NamespacedName) (held context.Context, release func(), ok bool)
}

// Emitter sends the events of an entry that status.emitted does not list, and returns the
// keys to add to it, also beside an error. The keys include those of events that can never
// be sent, so that they are not tried for ever.
type Emitter interface {
	Emit(ctx context.Context, entry *v1alpha1.ImageVerification) ([]string, error)
}
