package imageverification

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Ledger writes the status of an entry against the resourceVersion that was
// read, once. A conflict is ledger.ErrConflict. Head is the newest push of a tag
// of the entry's repository, by the same trigger, and costs no request.
type Ledger interface {
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
	// Recomputed is true if both were read from bytes that were recomputed against the
	// digest. Otherwise somebody wrote them, and they may be shown, and decide nothing
	// but that there is a run.
	Recomputed bool
}

// ErrNoFacts means that nobody has the facts of the digest any more, so that
// asking again does not help.
var ErrNoFacts = errors.New("neither the API server nor the registry has the image")

// Facts reads what is known of an entry's digest. Only the labels named are carried.
type Facts interface {
	Read(ctx context.Context, trigger *v1alpha1.ImageTrigger, entry *v1alpha1.ImageVerification, labels []string) (*Image, error)
}

// Lease guards what only a leader may do. Hold reports false if this process
// does not lead the key now. Otherwise the context ends before the lease can,
// and the lease is not given up by this process before release is called.
type Lease interface {
	Hold(ctx context.Context, key types.NamespacedName) (held context.Context, release func(), ok bool)
}

// Emitter tells others what happened to an entry: it sends what status.emitted
// does not list and returns the keys to add to it, also beside an error. What
// can never be sent is among the keys too, so that it is not tried for ever.
type Emitter interface {
	Emit(ctx context.Context, entry *v1alpha1.ImageVerification) ([]string, error)
}

// Queue is where keys wait for their turn.
type Queue interface {
	EnqueueKey(key types.NamespacedName)
	EnqueueKeyAfter(key types.NamespacedName, after time.Duration)
}
