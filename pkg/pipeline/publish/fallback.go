package publish

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/sigstore"
)

const (
	// listWrites bounds how often one change of the list is written.
	listWrites = 5
	// watchReads bounds how often the list is read while it is written, with watchPause between
	// two reads. A read takes a registry much less than a write, which waits for its disk: two
	// lists that wait together come into force within a millisecond.
	watchReads = 256
	watchPause = time.Millisecond
)

// fallback is the list under the fallback tag of one image, during one Push or Remove.
//
// No registry lets a client write a tag only if nobody else has: whoever writes the list drops what
// others added since it was read. So fallback reads the list directly before each write, and while
// the registry takes the write. It never sends the same list twice, but reads again. What others had
// in the list at any of these looks, and what has vanished from it, goes back in.
type fallback struct {
	r    *Registry
	tag  name.Tag
	own  v1.Descriptor  // to be in the list, unless it is zero
	drop []image.Digest // to be not in it
	// seen are all entries of the list at any look, and absent those that the registry does not
	// have any more.
	seen          map[v1.Hash]v1.Descriptor
	absent        map[v1.Hash]bool
	reads, writes []remote.Option
}

// fallback returns the list about subject. Its requests share one session: a handshake between
// reading and writing would leave others more time.
func (r *Registry) fallback(subject image.Digest, options []remote.Option) (*fallback, error) {
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, err
	}
	once := append(slices.Clone(options), remote.WithRetryPredicate(func(error) bool { return false }))
	pusher, err := remote.NewPusher(once...)
	if err != nil {
		return nil, err
	}
	return &fallback{
		r: r, tag: fallbackTag(r.repository, subject), seen: map[v1.Hash]v1.Descriptor{}, absent: map[v1.Hash]bool{},
		reads:  append(slices.Clone(options), remote.Reuse(puller)),
		writes: append(once, remote.Reuse(pusher)),
	}, nil
}

// update brings the list up to date. It writes nothing if there is nothing to change.
func (l *fallback) update(ctx context.Context) error {
	var err error
	for attempt := 0; attempt < listWrites; {
		var list v1.IndexManifest
		if list, err = l.read(); err != nil {
			return err
		}
		next, changed := l.mended(list)
		if !changed {
			return nil
		}
		err = l.write(next)
		switch {
		case err == nil:
			return nil
		case refusesChildren(err):
			if !l.prune(next) {
				return err
			}
		case !passing(err):
			return err
		default:
			if restErr := l.r.rest(ctx, attempt); restErr != nil {
				return errors.Join(err, restErr)
			}
			attempt++
		}
	}
	return err
}

// complete reports whether the list has all that it is to have.
func (l *fallback) complete() (bool, error) {
	list, err := l.read()
	if err != nil {
		return false, err
	}
	_, changed := l.mended(list)
	return !changed, nil
}

// read reads the list, and remembers what is in it.
func (l *fallback) read() (v1.IndexManifest, error) {
	list, err := readList(l.tag, l.reads)
	l.remember(list)
	return list, err
}

func (l *fallback) remember(list v1.IndexManifest) {
	for _, d := range list.Manifests {
		l.seen[d.Digest] = d
	}
}

// mended returns the list as it should be, and whether it has to change for that.
func (l *fallback) mended(list v1.IndexManifest) (v1.IndexManifest, bool) {
	next := list
	next.Manifests = slices.DeleteFunc(slices.Clone(list.Manifests), func(d v1.Descriptor) bool {
		return l.dropped(d.Digest) || l.absent[d.Digest]
	})
	lost := l.lost(next)
	changed := len(next.Manifests) != len(list.Manifests) || len(lost) > 0
	next.Manifests = append(next.Manifests, lost...)
	if l.own.Digest == (v1.Hash{}) {
		return next, changed
	}
	with := add(next, l.own)
	return with, changed || len(with.Manifests) != len(next.Manifests) || !has(next, l.own.Digest)
}

func has(list v1.IndexManifest, digest v1.Hash) bool {
	return slices.ContainsFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest == digest })
}

// lost returns what was in the list before and is no longer, although the registry has it.
func (l *fallback) lost(list v1.IndexManifest) []v1.Descriptor {
	kinds := map[string]bool{l.own.Annotations[kindAnnotation]: true}
	here := map[v1.Hash]bool{l.own.Digest: true}
	for _, d := range list.Manifests {
		here[d.Digest], kinds[d.Annotations[kindAnnotation]] = true, true
	}
	var lost []v1.Descriptor
	for digest, d := range l.seen {
		kind := d.Annotations[kindAnnotation]
		switch {
		case here[digest] || l.absent[digest] || l.dropped(digest):
		case kind != "" && kinds[kind]: // a newer one has its place
		case kind != "" && strings.HasPrefix(d.ArtifactType, sigstore.BundlePrefix):
			// Only the attestor puts a statement of Revet into a list: it may have withdrawn it.
		case gone(l.r.repository.Digest(digest.String()), l.reads):
			l.absent[digest] = true
		default:
			lost = append(lost, d)
		}
	}
	slices.SortFunc(lost, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return lost
}

func (l *fallback) dropped(digest v1.Hash) bool {
	return slices.ContainsFunc(l.drop, func(d image.Digest) bool { return d.String() == digest.String() })
}

// write stores the list once. Meanwhile it reads the list again and again: what another writer
// stores before the registry takes this one would be dropped unseen otherwise.
func (l *fallback) write(next v1.IndexManifest) error {
	stop, lists := make(chan struct{}), make(chan []v1.IndexManifest)
	go func() { lists <- l.watch(stop) }()
	err := writeList(l.tag, next, l.writes)
	close(stop)
	for _, list := range <-lists {
		l.remember(list)
	}
	return err
}

// watch reads the list until stop is closed, or it cannot be read.
func (l *fallback) watch(stop <-chan struct{}) []v1.IndexManifest {
	var lists []v1.IndexManifest
	for len(lists) < watchReads {
		list, err := readList(l.tag, l.reads)
		if err != nil {
			return lists
		}
		lists = append(lists, list)
		timer := time.NewTimer(watchPause)
		select {
		case <-stop:
			timer.Stop()
			return lists
		case <-timer.C:
		}
	}
	return lists
}

// prune finds out which children of a refused list the registry no longer has. It reports whether
// there are any. What was pushed just now is none of them.
func (l *fallback) prune(list v1.IndexManifest) bool {
	found := false
	for _, d := range list.Manifests {
		if d.Digest != l.own.Digest && gone(l.r.repository.Digest(d.Digest.String()), l.reads) {
			l.absent[d.Digest], found = true, true
		}
	}
	return found
}

// passing reports whether a refused write may succeed later.
func passing(err error) bool {
	var status *transport.Error
	return fetch.Repeatable(err) || errors.As(err, &status) && status.StatusCode == http.StatusTooManyRequests
}
