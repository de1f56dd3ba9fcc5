package signature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	simpleSigningLayer = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotation         = "dev.cosignproject.cosign/signature"
	// maxSignatures bounds the signatures that Look reads of each form. Other referrers of the
	// image do not count.
	maxSignatures = 64
	maxManifest   = 4 << 20
	maxPayload    = 1 << 20
	// maxBundle leaves room for attestations, including SBOMs, because Look must read them to find
	// signatures among them.
	maxBundle = 8 << 20
	// maxRead bounds the bytes that Look reads of all referrers together.
	maxRead = 64 << 20
)

// Source is a repository. Its methods return ErrAbsent for what it does not have. A Source vouches
// for the digest of everything it returns by digest.
type Source interface {
	// Manifest returns a manifest by tag or digest.
	Manifest(ctx context.Context, reference string, limit int64) ([]byte, error)
	// Blob returns a blob.
	Blob(ctx context.Context, d image.Digest, limit int64) ([]byte, error)
	// Referrers returns every referrer of d, or an error.
	Referrers(ctx context.Context, d image.Digest) ([]fetch.Referrer, error)
}

// ErrAbsent means that the repository does not have it.
var ErrAbsent = errors.New("the repository does not have it")

// Found lists the signatures that Look found. The zero value means that there are none.
type Found struct {
	// By names the keys that signed, without duplicates.
	By []string
	// Refused says of every other signature why it does not count.
	Refused []string
	// Unread says why Look could not read something that may be a signature. Look sets it only if
	// another signature is valid; otherwise it returns an error.
	Unread []string
}

func (f *Found) valid(name string) {
	for _, known := range f.By {
		if known == name {
			return
		}
	}
	f.By = append(f.By, name)
}

func (f *Found) refused(what string, err error) {
	f.Refused = append(f.Refused, what+": "+err.Error())
}

func (f *Found) unread(err error) { f.Unread = append(f.Unread, err.Error()) }

type manifest struct {
	Layers      []descriptor      `json:"layers"`
	Manifests   []descriptor      `json:"manifests"`
	Annotations map[string]string `json:"annotations"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// Look looks for signatures on digest. One valid signature is enough, whatever else the repository
// holds. Look returns "no signature" only if every request was answered.
func Look(ctx context.Context, src Source, digest image.Digest, keys []Key) (Found, error) {
	l := look{src: src, digest: digest, keys: keys, left: maxRead}
	errs := []error{
		about("look for signatures under the tag", l.simple(ctx)),
		about("look for signatures among the referrers", l.bundles(ctx)),
	}
	for _, err := range append(errs, l.unread...) {
		switch {
		case err == nil:
		case len(l.found.By) == 0:
			return Found{}, err
		default:
			l.found.unread(err)
		}
	}
	return l.found, nil
}

func about(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// look is a single search.
type look struct {
	src    Source
	digest image.Digest
	keys   []Key
	found  Found
	// unread lists what could not be read, and why, while the search goes on.
	unread []error
	left   int64 // bytes that may still be read of referrers
}

// tooMany records that some signatures are not read.
func (l *look) tooMany(where string) {
	l.unread = append(l.unread, oci.Errorf(oci.ReasonTooLarge, where,
		"it has more than %d signatures, and no trusted key made the first %d; delete those that nobody needs", maxSignatures, maxSignatures))
}

// simple reads the older form.
func (l *look) simple(ctx context.Context) error {
	tag := "sha256-" + l.digest.Hex() + ".sig"
	raw, err := l.src.Manifest(ctx, tag, maxManifest)
	if errors.Is(err, ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	var m manifest
	err = json.Unmarshal(raw, &m)
	if err == nil && m.Layers == nil && m.Manifests == nil {
		err = errors.New("it has neither layers nor manifests")
	}
	if err != nil {
		return oci.Errorf(oci.ReasonUnavailable, "tag "+tag,
			"the registry's answer is not a manifest; ask whoever runs it, or delete the tag: %w", err)
	}
	for i, s := range m.Layers {
		if i == maxSignatures {
			l.tooMany("tag " + tag)
			return nil
		}
		if err := l.layer(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// layer reads one signature of the older form.
func (l *look) layer(ctx context.Context, s descriptor) error {
	what := "signature " + clip(s.Digest)
	at, err := image.ParseDigest(s.Digest)
	if err != nil || s.MediaType != simpleSigningLayer {
		l.found.refused(what, fmt.Errorf("it has the media type %q", clip(s.MediaType)))
		return nil //nolint:nilerr // it is recorded as refused
	}
	payload, err := l.src.Blob(ctx, at, maxPayload)
	switch {
	case errors.Is(err, ErrAbsent):
		l.found.refused(what, err)
		return nil
	case err != nil:
		return err
	}
	name, err := verifySimple(l.keys, l.digest, payload, s.Annotations[annotation])
	if err != nil {
		l.found.refused(what, err)
		return nil
	}
	l.found.valid(name)
	return nil
}
