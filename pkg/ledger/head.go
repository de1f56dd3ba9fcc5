package ledger

import (
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Head returns the newest push of a tag, of the entry's repository and by its trigger. It
// costs no request. Pushes of one second have no order: the entry's own counts if it is
// among them.
func (l *Ledger) Head(entry *v1alpha1.ImageVerification, tag string) lifecycle.Head {
	h := l.index.known(entry.Spec.Trigger.UID, RepositoryOf(entry)).tag(tag)
	if h.Digest == "" {
		return lifecycle.Head{}
	}
	digest := h.All()[0]
	if own := hexOf(entry.Spec.Digest); h.Has(own) {
		digest = own
	}
	return lifecycle.Head{Digest: digestPrefix + digest, PushedAt: time.Unix(h.PushedAt, 0).UTC(), Sequence: h.Sequence}
}
