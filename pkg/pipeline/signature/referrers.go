package signature

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// likelihood orders referrers by what their list says of them. It decides what is
// read first, and nothing else.
type likelihood int

const (
	saysSo  likelihood = iota // it says that it is one
	mayBe                     // it says nothing
	saysNot                   // it says that it is something else
)

func likely(r fetch.Referrer) likelihood {
	switch predicate := r.Annotations[predicateAnnotation]; {
	case predicate == signPredicate:
		return saysSo
	case predicate != "":
		return saysNot
	}
	switch {
	// Some registries say of every artefact that it is of its empty configuration's type.
	case r.ArtifactType == "", r.ArtifactType == "application/vnd.oci.empty.v1+json",
		strings.HasPrefix(r.ArtifactType, bundlePrefix):
		return mayBe
	default:
		return saysNot
	}
}

// bundles looks at the newer form.
func (l *look) bundles(ctx context.Context) error {
	all, err := l.src.Referrers(ctx, l.digest)
	if err != nil {
		return err
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b fetch.Referrer) int { return int(likely(a) - likely(b)) })
	looked := 0
	for _, r := range all {
		if likely(r) == saysNot && len(l.found.By) > 0 {
			return nil // it is signed, and these are read to find out whether it is
		}
		signed, err := l.referrer(ctx, r.Digest)
		if err != nil {
			return err
		}
		if !signed {
			continue
		}
		if looked++; looked > maxSignatures {
			l.tooMany("the list of referrers")
			return nil
		}
	}
	return nil
}

// referrer looks at one referrer, and reports whether it is a signature, by
// whomever, or could be one.
func (l *look) referrer(ctx context.Context, at image.Digest) (bool, error) {
	what := "referrer " + at.String()
	raw, err := l.read(what, maxManifest, func(limit int64) ([]byte, error) {
		return l.src.Manifest(ctx, at.String(), limit)
	})
	if errors.Is(err, ErrAbsent) {
		return false, nil // a list that is behind: it was deleted
	}
	if err != nil {
		return false, l.outOfBounds(err, "")
	}
	layer, predicate, ok := bundleOf(raw)
	if !ok {
		return false, nil // something else about the image
	}
	blob, err := image.ParseDigest(layer.Digest)
	if err != nil {
		l.found.refused(what, err)
		return true, nil
	}
	if layer.Size > maxBundle {
		return false, l.outOfBounds(oci.Errorf(oci.ReasonTooLarge, what, "its bundle has more than %d bytes", maxBundle), predicate)
	}
	bundle, err := l.read(what, maxBundle, func(limit int64) ([]byte, error) {
		return l.src.Blob(ctx, blob, limit)
	})
	switch {
	case errors.Is(err, ErrAbsent):
		if elsewhere(predicate) {
			return false, nil
		}
		l.found.refused(what, err)
		return true, nil
	case err != nil:
		return false, l.outOfBounds(err, predicate)
	}
	name, err := verifyBundle(l.keys, l.digest, bundle)
	switch {
	case errors.Is(err, errOther):
		return false, nil
	case err != nil:
		l.found.refused(what, err)
	default:
		l.found.valid(name)
	}
	return true, nil
}

// read reads within the bound of one, and of all.
func (l *look) read(what string, most int64, read func(limit int64) ([]byte, error)) ([]byte, error) {
	if l.left <= 0 {
		return nil, oci.Errorf(oci.ReasonTooLarge, what, "all that refers to the image has more than %d bytes", maxRead)
	}
	raw, err := read(min(most, l.left))
	l.left -= int64(len(raw))
	return raw, err
}

// outOfBounds passes over what is too large to be read and says of itself that it
// is something else. Else it is told, and others are looked at. Other errors are
// returned.
func (l *look) outOfBounds(err error, predicate string) error {
	var e *oci.Error
	switch {
	case !errors.As(err, &e) || e.Reason != oci.ReasonTooLarge:
		return err
	case elsewhere(predicate):
		return nil
	}
	l.unread = append(l.unread, oci.Errorf(e.Reason, e.Subject,
		"%w, so that nobody can say whether it is a signature; delete it if nobody needs it", e.Err))
	return nil
}

// elsewhere reports whether a manifest says that its bundle is no signature. Who
// signs and says so, signs for somebody else.
func elsewhere(predicate string) bool { return predicate != "" && predicate != signPredicate }

// bundleOf returns the bundle that a manifest wraps, if it wraps one, and what the
// manifest says that it is.
func bundleOf(raw []byte) (layer descriptor, predicate string, ok bool) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) != 1 {
		return descriptor{}, "", false
	}
	return m.Layers[0], m.Annotations[predicateAnnotation], strings.HasPrefix(m.Layers[0].MediaType, bundlePrefix)
}
