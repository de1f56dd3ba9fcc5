package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

var (
	// ErrConflict is transient: the entry was written after it was read. Read it again and
	// decide again.
	ErrConflict = errors.New("the entry was changed since it was read")
	// ErrForeign is permanent: an object has the entry's name and is another entry.
	ErrForeign = errors.New("an ImageVerification of this name belongs to another trigger, repository or digest")
	// ErrForgotten is permanent: the digest was pushed to more tags than its entry tells of, and
	// nobody knows whether the push is one of those. It is not recorded, and not covered.
	ErrForgotten = errors.New("the digest was pushed to more tags than its entry tells of")
)

// maxAttempts bounds how often Record loses a race before its caller has to try again later.
const maxAttempts = 5

// Outcome says what Record did. The zero value is invalid.
type Outcome string

// The outcomes of Record.
const (
	Created   Outcome = "Created"   // a new entry
	Updated   Outcome = "Updated"   // a newer push of a tag to a known digest
	Unchanged Outcome = "Unchanged" // the entry had the push already
)

// Result is what Record did.
type Result struct {
	Outcome Outcome
	// Entry is the entry as it is now. It is nil for Unchanged if it was not read.
	Entry *v1alpha1.ImageVerification
}

// Ledger writes entries through a client that does not cache.
type Ledger struct {
	client client.Client
	index  *Index
	bounds Bounds
}

// New returns a ledger. The client must read from the API server, not from a cache.
func New(c client.Client, index *Index) *Ledger { return NewBounded(c, index, DefaultBounds()) }

// NewBounded is New with other bounds, at least two tags that are named. Those of all who write
// an entry should be the same.
func NewBounded(c client.Client, index *Index, b Bounds) *Ledger {
	return &Ledger{client: c, index: index, bounds: b}
}

// Repositories returns the repositories that the ledger has pushes of for a trigger, in no
// order. It costs no request.
func (l *Ledger) Repositories(trigger *v1alpha1.ImageTrigger) []push.Repository {
	return l.index.repositories(string(trigger.UID))
}

// Known answers what the ledger covers of one trigger and repository, from the index. It
// costs no request.
func (l *Ledger) Known(trigger *v1alpha1.ImageTrigger, r push.Repository) Coverage {
	return l.index.known(string(trigger.UID), r)
}

// Record makes the ledger cover a push. A new entry keeps the facts of the image; nil facts
// are none. Record is idempotent, and safe with any number of other writers.
func (l *Ledger) Record(ctx context.Context, trigger *v1alpha1.ImageTrigger, p push.Push, facts *v1alpha1.ImageFacts, source v1alpha1.PushSource, now time.Time) (Result, error) {
	entry := newEntry(trigger, p, source, now)
	entry.Spec.Image = facts
	known := l.index.known(string(trigger.UID), p.Repository)
	if known.Forgot(push.Observation{Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Created: p.PushedAt}) {
		return Result{}, fmt.Errorf("entry %q: %w", entry.Name, ErrForgotten)
	}
	if p.Repository.Kind == push.Registry {
		newest, head := known.head(p.Tag)
		if head == p.Digest.Hex() {
			return Result{Outcome: Unchanged}, nil
		}
		entry.Spec.FirstPush.Sequence = newest + 1
	}
	if !known.has(p.Digest) {
		// Create writes the answer of the API server into its argument.
		created := entry.DeepCopy()
		err := l.client.Create(ctx, created)
		if err == nil {
			failpoint.Hit("ledger.created")
			l.index.ownWrite(created)
			return Result{Entry: created, Outcome: Created}, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return Result{}, fmt.Errorf("creating the entry %q: %w", entry.Name, err)
		}
	}
	return l.update(ctx, entry)
}

// update adds the first push of the wanted entry to the tags of the existing one.
func (l *Ledger) update(ctx context.Context, wanted *v1alpha1.ImageVerification) (Result, error) {
	for attempt := 1; ; attempt++ {
		var entry v1alpha1.ImageVerification
		if err := l.client.Get(ctx, client.ObjectKeyFromObject(wanted), &entry); err != nil {
			if apierrors.IsNotFound(err) {
				l.index.forget(wanted) // a second attempt creates the entry
			}
			return Result{}, fmt.Errorf("reading the entry %q: %w", wanted.Name, err)
		}
		if !same(&entry, wanted) {
			return Result{}, fmt.Errorf("entry %q in namespace %q: %w", wanted.Name, wanted.Namespace, ErrForeign)
		}
		head := l.headsOf(&entry)
		switch addPush(&entry, wanted.Spec.FirstPush, head) {
		case added:
		case forgotten:
			l.index.ownWrite(&entry)
			return Result{}, fmt.Errorf("entry %q: %w", wanted.Name, ErrForgotten)
		default:
			l.index.ownWrite(&entry)
			return Result{Entry: &entry, Outcome: Unchanged}, nil
		}
		l.bounds.complete(&entry, head, l.index.now())
		err := l.client.Status().Update(ctx, &entry)
		if err == nil {
			l.index.ownWrite(&entry)
			return Result{Entry: &entry, Outcome: Updated}, nil
		}
		if !apierrors.IsConflict(err) {
			return Result{}, fmt.Errorf("adding a push to the entry %q: %w", wanted.Name, err)
		}
		if attempt == maxAttempts {
			return Result{}, fmt.Errorf("adding a push to the entry %q, %d times: %w", wanted.Name, attempt, ErrConflict)
		}
	}
}

// UpdateStatus writes what mutate changes, against the resourceVersion of entry, and returns
// the entry as written. It does not change entry, which may belong to a cache, and sends no
// request if nothing changes. It makes one attempt: after ErrConflict, the caller has to
// decide again.
func (l *Ledger) UpdateStatus(ctx context.Context, entry *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (*v1alpha1.ImageVerification, error) {
	next := entry.DeepCopy()
	next.Status.Tags = next.Tags()
	mutate(&next.Status)
	l.bounds.complete(next, l.headsOf(next), l.index.now())
	if equality.Semantic.DeepEqual(entry.Status, next.Status) {
		return next, nil
	}
	if err := l.client.Status().Update(ctx, next); err != nil {
		if apierrors.IsConflict(err) {
			l.index.forgetWrite(entry)
			err = ErrConflict
		}
		return nil, fmt.Errorf("writing the status of the entry %q: %w", entry.Name, err)
	}
	l.index.ownStatus(next)
	return next.DeepCopy(), nil
}

// headsOf returns the heads of the tags of an entry's repository, for its trigger.
func (l *Ledger) headsOf(entry *v1alpha1.ImageVerification) heads {
	return l.index.known(entry.Spec.Trigger.UID, RepositoryOf(entry)).tag
}

// Freshest returns the later of an entry that a cache has and what this process wrote of
// it. With an older state, its caller would decide again what was decided already.
func (l *Ledger) Freshest(cached *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	x := l.index
	x.mu.Lock()
	defer x.mu.Unlock()
	name := client.ObjectKeyFromObject(cached)
	own := x.written[name]
	if own == nil {
		return cached
	}
	if !supersedes(own, cached) {
		delete(x.written, name)
		return cached
	}
	return own.DeepCopy()
}

func newEntry(trigger *v1alpha1.ImageTrigger, p push.Push, source v1alpha1.PushSource, now time.Time) *v1alpha1.ImageVerification {
	var names []string
	for _, name := range p.Names {
		names = append(names, name.String())
	}
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: trigger.Namespace,
			Name:      EntryName(string(trigger.UID), p.Repository, p.Digest),
			Labels:    map[string]string{v1alpha1.TriggerUIDLabel: string(trigger.UID)},
		},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: trigger.Name, UID: string(trigger.UID)},
			Repository: v1alpha1.RepositoryReference{
				Kind:  v1alpha1.RepositoryKind(p.Repository.Kind),
				Name:  p.Repository.Name,
				UID:   p.Repository.UID,
				Pull:  p.Pull.String(),
				Names: names,
			},
			Digest: p.Digest.String(),
			FirstPush: v1alpha1.PushRecord{
				Tag:        p.Tag,
				PushedAt:   metav1.NewTime(p.PushedAt.UTC().Truncate(time.Second)),
				ObservedAt: metav1.NewMicroTime(now.UTC().Truncate(time.Microsecond)),
				Source:     source,
			},
		},
	}
}

// same compares what identifies an entry. The first push and the place to pull from are
// those of whoever created the entry, and do not identify it.
func same(a, b *v1alpha1.ImageVerification) bool {
	return a.Spec.Trigger == b.Spec.Trigger && a.Spec.Digest == b.Spec.Digest &&
		RepositoryOf(a) == RepositoryOf(b)
}

// RepositoryOf returns the repository incarnation that an entry is about.
func RepositoryOf(entry *v1alpha1.ImageVerification) push.Repository {
	r := entry.Spec.Repository
	return push.Repository{Kind: push.Kind(r.Kind), Name: r.Name, UID: r.UID}
}

// ReferenceOf returns what an entry's runs pull.
func ReferenceOf(entry *v1alpha1.ImageVerification) (image.Reference, error) {
	ref, err := image.ParseReference(entry.Spec.Repository.Pull + "@" + entry.Spec.Digest)
	if err != nil {
		return image.Reference{}, fmt.Errorf("the entry %q: %w", entry.Name, err)
	}
	return ref, nil
}

const (
	// hashBytes is how much of a SHA-256 goes into a name: 128 bits.
	hashBytes = 16
	// maxPrefix keeps a name, with its hyphen and hash, within the 63 characters
	// of a label value.
	maxPrefix = 63 - 1 - 2*hashBytes
)

// EntryName is the name of the entry of one trigger, repository incarnation and
// digest: a readable prefix and 128 bits that identify all of them.
func EntryName(triggerUID string, r push.Repository, d image.Digest) string {
	return prefix(r.Name) + "-" + hash(triggerUID, string(r.Kind), r.Name, r.UID, d.String())
}

// RunName is the name of an entry's run: a readable prefix and 128 bits of the
// entry's UID and the run's number.
func RunName(entry *v1alpha1.ImageVerification, number int32) string {
	return prefix(entry.Spec.Repository.Name) + "-" + hash(string(entry.UID), strconv.Itoa(int(number)))
}

// hash separates its parts by a byte that no part can contain.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:hashBytes])
}

// prefix makes the last segment of a repository's name a valid part of an object's name.
func prefix(repository string) string {
	last := repository[strings.LastIndexByte(repository, '/')+1:]
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		default:
			return '-'
		}
	}, last)
	if len(clean) > maxPrefix {
		clean = clean[:maxPrefix]
	}
	if clean = strings.Trim(clean, "-"); clean == "" {
		return "image"
	}
	return clean
}
