package push

import (
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

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
