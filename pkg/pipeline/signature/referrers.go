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
	"github.com/revet-dev/revet/pkg/sigstore"
)

// likelihood orders referrers by what their list says about them. It only decides what is read
// first.
type likelihood int

const (
	saysSo  likelihood = iota // it claims to be a signature
	mayBe                     // it claims nothing
	saysNot                   // it claims to be something else
)

func likely(r fetch.Referrer) likelihood {
	switch predicate := r.Annotations[sigstore.PredicateAnnotation]; {
	case predicate == signPredicate:
		return saysSo
	case predicate != "":
		return saysNot
	}
	switch {
	// Some registries report the type of the empty configuration for every artefact.
	case r.ArtifactType == "", r.ArtifactType == "application/vnd.oci.empty.v1+json",
		strings.HasPrefix(r.ArtifactType, sigstore.BundlePrefix):
		return mayBe
	default:
		return saysNot
	}
}

// bundles reads the newer form.
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
			return nil // the image is signed; reading on could only confirm that
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

// referrer reads one referrer. It reports whether the referrer is or may be a signature, by any
// key.
func (l *look) referrer(ctx context.Context, at image.Digest) (bool, error) {
	what := "referrer " + at.String()
	raw, err := l.read(what, maxManifest, func(limit int64) ([]byte, error) {
		return l.src.Manifest(ctx, at.String(), limit)
	})
	if errors.Is(err, ErrAbsent) {
		return false, nil // deleted; the list is out of date
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
		return false, l.outOfBounds(oci.Errorf(oci.ReasonTooLarge, what, "its bundle is larger than %d bytes", maxBundle), predicate)
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

// read reads with two limits: one for this read, and one for all of them.
func (l *look) read(what string, most int64, read func(limit int64) ([]byte, error)) ([]byte, error) {
	if l.left <= 0 {
		return nil, oci.Errorf(oci.ReasonTooLarge, what, "the referrers of the image are larger than %d bytes together", maxRead)
	}
	raw, err := read(min(most, l.left))
	l.left -= int64(len(raw))
	return raw, err
}

// outOfBounds skips a bundle that is too large to read, if its manifest says that it is not a
// signature. Otherwise it records the bundle as unread, and the search goes on. It returns all
// other errors.
func (l *look) outOfBounds(err error, predicate string) error {
	var e *oci.Error
	switch {
	case !errors.As(err, &e) || e.Reason != oci.ReasonTooLarge:
		return err
	case elsewhere(predicate):
		return nil
	}
	l.unread = append(l.unread, oci.Errorf(e.Reason, e.Subject,
		"%w, so it may or may not be a signature; delete it if nobody needs it", e.Err))
	return nil
}

// elsewhere reports whether a manifest says that its bundle is not a signature. A signer who says
// so does not mean to sign this image.
func elsewhere(predicate string) bool { return predicate != "" && predicate != signPredicate }

// bundleOf returns the bundle that a manifest wraps, if any, and the predicate type that the
// manifest claims.
func bundleOf(raw []byte) (layer descriptor, predicate string, ok bool) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) != 1 {
		return descriptor{}, "", false
	}
	return m.Layers[0], m.Annotations[sigstore.PredicateAnnotation], strings.HasPrefix(m.Layers[0].MediaType, sigstore.BundlePrefix)
}
