package push

import (
	"strings"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Kind is the kind of object that shows a repository's pushes.
type Kind string

// The kinds of repository. The zero value is invalid.
const (
	ImageStream Kind = "ImageStream" // an OpenShift ImageStream, read from the API server
	Registry    Kind = "Registry"    // a repository, read from its registry
)

// Repository is one incarnation of a repository.
type Repository struct {
	Kind Kind
	// Name is namespace/name of an ImageStream, or host/path of a repository.
	Name string
	// UID is the UID of the ImageStream. A recreated stream counts as another repository. UID is
	// empty for a repository in a registry.
	UID string
}

// Reason says why an item is a push.
type Reason string

// The reasons of a push. The zero value is invalid.
const (
	// NewHead: the tag is new or its head moved.
	NewHead Reason = "NewHead"
	// History: an older item that nothing showed before, because its event was missed.
	History Reason = "History"
)

// Push is one push of a digest to a tag.
type Push struct {
	Repository Repository
	Tag        string
	Digest     image.Digest
	// PushedAt is the item's creation time, to the second, in UTC.
	PushedAt time.Time
	// Pull is the repository to pull the digest from.
	Pull image.Repository
	// Names are the stream's.
	Names  []image.Repository
	Reason Reason
}

// String returns the push in readable form: repository:tag@digest time.
func (p Push) String() string {
	return p.Repository.Name + ":" + p.Tag + "@" + p.Digest.String() + " " + p.PushedAt.UTC().Format(time.RFC3339)
}

// SkipReason says why an item is not a push.
type SkipReason string

// The reasons of a skip.
const (
	InvalidTag    SkipReason = "InvalidTag"    // not a valid tag in the OCI specification
	InvalidDigest SkipReason = "InvalidDigest" // the item's image is not a digest
	// DigestUnsupported: the digest's algorithm is not SHA-256, so Revet cannot tell whether
	// something was pushed.
	DigestUnsupported SkipReason = "DigestUnsupported"
	InvalidTime       SkipReason = "InvalidTime" // the item has no creation time
	NoDigest          SkipReason = "NoDigest"    // the head has no digest: a reference, or a failed import
	NotRunnable       SkipReason = "NotRunnable" // a signature, attestation, SBOM or other artefact
)

// Skip is an item that Detect ignored. It does not affect other items.
type Skip struct {
	Repository Repository
	// Tag is copied from the object as it is, and may be hostile.
	Tag    string
	Digest image.Digest
	// Claimed is the digest that Revet cannot use, cut to 160 bytes.
	Claimed string
	// Created is the item's time, and Head says whether it is the first item of its tag. Both are
	// zero if Detect ignored the whole tag.
	Created time.Time
	Head    bool
	Reason  SkipReason
}

// Stream is what a repository shows: for each tag its items, newest first. Fields prefixed with
// Claimed are copied unchecked; Detect checks them.
type Stream struct {
	Repository Repository
	// Pull is the repository to pull the stream's digests from, unless an item names another.
	Pull image.Repository
	// Names are the repositories under which a registry serves the tags of an ImageStream. There
	// are none for a repository in a registry, whose name is the one.
	Names []image.Repository
	Tags  []Tag
}

// Tag is one tag with its history.
type Tag struct {
	ClaimedName string
	Items       []Item // newest first; the first is the head
}

// Item is an image that a tag points or pointed to.
type Item struct {
	ClaimedDigest string
	Created       time.Time
	// Pull is the repository to pull this item from; zero means the stream's.
	Pull image.Repository
}

// Only returns the stream with only its admitted tags.
func (s Stream) Only(admit func(claimedTag string) bool) Stream {
	admitted := Stream{Repository: s.Repository, Pull: s.Pull, Names: s.Names, Tags: make([]Tag, 0, len(s.Tags))}
	for _, tag := range s.Tags {
		if admit(tag.ClaimedName) {
			admitted.Tags = append(admitted.Tags, tag)
		}
	}
	return admitted
}

// Observation is an item and its place.
type Observation struct {
	Repository Repository
	Tag        string
	Digest     image.Digest
	Created    time.Time
	// Head is true for the first item of a tag.
	Head bool
}

// Known answers what earlier observations showed. The ledger implements it for the receiver and the
// sweeps. Memory implements it for inputs that are read one after another.
type Known interface {
	Covers(Observation) bool
}

// Runnable says whether a digest can run as a container. Detect asks only about items that would be
// pushes. The answer is true if nothing is known: see Exemptions.
type Runnable interface {
	Runnable(d image.Digest) bool
}

// Result is what Detect found, in the order of the stream's tags. Within a tag, older items come
// first and the head last.
type Result struct {
	Pushes []Push
	Skips  []Skip
}

// Detect compares what a repository shows with what is already known about it.
func Detect(s Stream, known Known, runnable Runnable) Result {
	var r Result
	for _, tag := range s.Tags {
		r.detectTag(s, tag, known, runnable)
	}
	return r
}

func (r *Result) detectTag(s Stream, tag Tag, known Known, runnable Runnable) {
	if !image.ValidTag(tag.ClaimedName) {
		r.Skips = append(r.Skips, Skip{Repository: s.Repository, Tag: tag.ClaimedName, Reason: InvalidTag})
		return
	}
	for i := len(tag.Items) - 1; i >= 0; i-- {
		item := tag.Items[i]
		if item.ClaimedDigest == "" {
			r.skip(s, tag, i, image.Digest{}, NoDigest)
			continue
		}
		digest, err := image.ParseDigest(item.ClaimedDigest)
		if err != nil {
			r.skip(s, tag, i, image.Digest{}, unusable(item.ClaimedDigest))
			continue
		}
		if item.Created.IsZero() {
			r.skip(s, tag, i, digest, InvalidTime)
			continue
		}
		o := Observation{
			Repository: s.Repository,
			Tag:        tag.ClaimedName,
			Digest:     digest,
			Created:    item.Created.UTC().Truncate(time.Second),
			Head:       i == 0,
		}
		if known.Covers(o) {
			continue
		}
		if !runnable.Runnable(digest) {
			r.skip(s, tag, i, digest, NotRunnable)
			continue
		}
		r.Pushes = append(r.Pushes, newPush(s, item, o))
	}
}

// unusable returns the reason to skip an invalid digest: either another algorithm in the OCI
// grammar, or not a digest at all.
func unusable(claimed string) SkipReason {
	algorithm, encoded, ok := strings.Cut(claimed, ":")
	if !ok || algorithm == "" || encoded == "" || algorithm == "sha256" {
		return InvalidDigest
	}
	for i := range len(algorithm) {
		if c := algorithm[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("+._-", rune(c)) {
			return InvalidDigest
		}
	}
	for i := range len(encoded) {
		if c := encoded[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("=_-", rune(c)) {
			return InvalidDigest
		}
	}
	return DigestUnsupported
}

// maxClaimed bounds the part of an unusable digest that a Skip carries.
const maxClaimed = 160

func newPush(s Stream, item Item, o Observation) Push {
	reason, pull := History, s.Pull
	if o.Head {
		reason = NewHead
	}
	if !item.Pull.IsZero() {
		pull = item.Pull
	}
	return Push{
		Repository: o.Repository,
		Tag:        o.Tag,
		Digest:     o.Digest,
		PushedAt:   o.Created,
		Pull:       pull,
		Names:      s.Names,
		Reason:     reason,
	}
}

func (r *Result) skip(s Stream, tag Tag, item int, d image.Digest, reason SkipReason) {
	skip := Skip{
		Repository: s.Repository, Tag: tag.ClaimedName, Digest: d,
		Created: tag.Items[item].Created, Head: item == 0, Reason: reason,
	}
	if d.IsZero() {
		skip.Claimed = image.Cut(tag.Items[item].ClaimedDigest, maxClaimed)
	}
	r.Skips = append(r.Skips, skip)
}

// Exemptions remembers digests that provably name nothing that runs, such as signatures and SBOMs.
// Their pushes are exempt. Only content recomputed from the digest's own bytes is a proof; names,
// headers and API objects are not. Any digest that is not remembered counts as a push. Exemptions
// is bounded: when it is full it forgets the older half, which costs another read. It is safe for
// concurrent use.
type Exemptions struct {
	half int

	mu         sync.Mutex
	young, old map[image.Digest]image.Runnability
}

// maxExemptions takes about 5 MB.
const maxExemptions = 32768

// NewExemptions returns an empty Exemptions.
func NewExemptions() *Exemptions { return newExemptions(maxExemptions) }

func newExemptions(size int) *Exemptions {
	return &Exemptions{half: size / 2, young: map[image.Digest]image.Runnability{}}
}

// Exempt decides about a digest from its content, and remembers a proof. Content of which a
// registry's word is a part proves nothing.
func (e *Exemptions) Exempt(d image.Digest, content image.Content) bool {
	why := content.Runnability()
	if why.Runnable() || content.Claimed() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put(d, why)
	return true
}

// Runnable implements Runnable. It only looks into its memory.
func (e *Exemptions) Runnable(d image.Digest) bool { return e.Why(d) == "" }

// Why returns the reason why a digest is exempt, or an empty reason if none is known.
func (e *Exemptions) Why(d image.Digest) image.Runnability {
	e.mu.Lock()
	defer e.mu.Unlock()
	if why, ok := e.young[d]; ok {
		return why
	}
	why, ok := e.old[d]
	if ok {
		e.put(d, why)
	}
	return why
}

func (e *Exemptions) put(d image.Digest, why image.Runnability) {
	if _, ok := e.young[d]; !ok && len(e.young) >= e.half {
		e.old, e.young = e.young, map[image.Digest]image.Runnability{}
	}
	e.young[d] = why
}
