package ledger

import (
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Head returns the newest push of a tag, of the entry's repository and by its trigger. It
// costs no request. Pushes of one second have no order: the entry's own counts if it is
// among them.
func (l *Ledger) Head(entry *v1alpha1.ImageVerification, tag string) lifecycle.Head {
	h := l.index.known(entry.Spec.Trigger.UID, RepositoryOf(entry)).tag(tag)
	if h.digest == "" {
		return lifecycle.Head{}
	}
	digest := slices.Min(append(slices.Clone(h.ties), h.digest))
	if own := hexOf(entry.Spec.Digest); h.has(own) {
		digest = own
	}
	return lifecycle.Head{Digest: digestPrefix + digest, PushedAt: time.Unix(h.pushedAt, 0).UTC(), Sequence: h.sequence}
}
