package ledger

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// NewManual returns the entry of a digest that nobody pushed, with one request for a run.
// The tag only says how people call the digest, and may be empty. Policy revet-ledger lets
// people create such an entry, and no other.
func NewManual(trigger *v1alpha1.ImageTrigger, ref image.Reference, tag, request string, now time.Time) *v1alpha1.ImageVerification {
	entry := newEntry(trigger, push.Push{
		Repository: push.Repository{Kind: push.Registry, Name: ref.Repository().String()},
		Pull:       ref.Repository(), Digest: ref.Digest(), Tag: tag, PushedAt: now,
	}, v1alpha1.SourceManual, now)
	entry.Spec.Requests = []string{request}
	return entry
}

// Forged says in words why an entry that a person created is not what it claims to be, or
// returns "". Admission policies cannot compute the hash in an entry's name.
func Forged(entry *v1alpha1.ImageVerification) string {
	if !entry.IsManual() {
		return ""
	}
	r := entry.Spec.Repository
	if _, err := image.ParseRepository(r.Name); err != nil || push.Kind(r.Kind) != push.Registry || r.Pull != r.Name {
		return fmt.Sprintf("nobody may record %s %q by hand, to be pulled from %q; delete this entry: kubectl delete imageverification %s -n %s",
			r.Kind, image.Cut(r.Name, maxQuoted), image.Cut(r.Pull, maxQuoted), entry.Name, entry.Namespace)
	}
	digest, err := image.ParseDigest(entry.Spec.Digest)
	if err != nil {
		return err.Error()
	}
	if want := EntryName(entry.Spec.Trigger.UID, RepositoryOf(entry), digest); entry.Name != want {
		return fmt.Sprintf("the entry of this trigger, repository and digest is named %q; delete this one, which keeps another push from being recorded: "+
			"kubectl delete imageverification %s -n %s", want, entry.Name, entry.Namespace)
	}
	return ""
}

// maxQuoted keeps the command at the end of a message within the message's bound.
const maxQuoted = 120
