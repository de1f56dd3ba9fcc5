package ledger

import (
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Head returns the newest push of a tag, of the entry's repository and by its
// trigger, from the index: it costs no request. Digests that were pushed in one
// second are in no order: then the entry's own counts, if it is among them.
func (l *Ledger) Head(entry *v1alpha1.ImageVerification, tag string) lifecycle.Head {
	return l.index.known(entry.Spec.Trigger.UID, RepositoryOf(entry)).newest(tag, entry.Spec.Digest)
}

func (k known) newest(tag, own string) lifecycle.Head {
	var best tagRecord
	var digest string
	for i := range k.records {
		for _, t := range k.records[i].tags {
			if t.tag != tag {
				continue
			}
			d := digestPrefix + k.records[i].digest
			if digest == "" || !best.covers(t) || (t.covers(best) && d == own) {
				best, digest = t, d
			}
		}
	}
	if digest == "" {
		return lifecycle.Head{}
	}
	return lifecycle.Head{Digest: digest, PushedAt: time.Unix(best.pushedAt, 0).UTC(), Sequence: best.sequence}
}
