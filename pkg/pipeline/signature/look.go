package signature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	simpleSigningLayer = "application/vnd.dev.cosign.simplesigning.v1+json"
	bundlePrefix       = "application/vnd.dev.sigstore.bundle"
	annotation         = "dev.cosignproject.cosign/signature"
	// maxSignatures is how many of each form are looked at.
	maxSignatures = 64
	maxManifest   = 4 << 20
	maxPayload    = 1 << 20
)

// Source is a repository. What it has not is ErrAbsent. It answers for the
// digests of what it returns by digest.
type Source interface {
	// Manifest returns a manifest by tag or digest.
	Manifest(ctx context.Context, reference string, limit int64) ([]byte, error)
	// Blob returns a blob.
	Blob(ctx context.Context, d image.Digest, limit int64) ([]byte, error)
	// Referrers returns an index of what says that it is about d.
	Referrers(ctx context.Context, d image.Digest, limit int64) ([]byte, error)
}

// ErrAbsent is of what a repository does not have.
var ErrAbsent = errors.New("the repository does not have it")

// Found is what there is of signatures. The zero value is that there are none.
type Found struct {
	// By are the names of the keys that signed, each once.
	By []string
	// Refused is why each other signature does not count.
	Refused []string
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

type manifest struct {
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Annotations  map[string]string `json:"annotations"`
}

// Look looks for signatures on digest.
func Look(ctx context.Context, src Source, digest image.Digest, keys []Key) (Found, error) {
	var f Found
	if err := f.simple(ctx, src, digest, keys); err != nil {
		return Found{}, fmt.Errorf("look for signatures under the tag: %w", err)
	}
	if err := f.bundles(ctx, src, digest, keys); err != nil {
		return Found{}, fmt.Errorf("look for signatures among the referrers: %w", err)
	}
	return f, nil
}

// simple looks at the older form.
func (f *Found) simple(ctx context.Context, src Source, digest image.Digest, keys []Key) error {
	tag := "sha256-" + digest.Hex() + ".sig"
	raw, err := src.Manifest(ctx, tag, maxManifest)
	if errors.Is(err, ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		f.refused("tag "+tag, fmt.Errorf("it is no manifest: %w", err))
		return nil
	}
	for i, l := range m.Layers {
		what := "signature " + clip(l.Digest)
		if i == maxSignatures {
			f.refused("tag "+tag, fmt.Errorf("it has more than %d signatures; the others were not looked at", maxSignatures))
			return nil
		}
		at, err := image.ParseDigest(l.Digest)
		if err != nil || l.MediaType != simpleSigningLayer {
			f.refused(what, fmt.Errorf("it has the media type %q", clip(l.MediaType)))
			continue
		}
		payload, err := src.Blob(ctx, at, maxPayload)
		switch {
		case errors.Is(err, ErrAbsent):
			f.refused(what, err)
			continue
		case err != nil:
			return err
		}
		name, err := verifySimple(keys, digest, payload, l.Annotations[annotation])
		if err != nil {
			f.refused(what, err)
			continue
		}
		f.valid(name)
	}
	return nil
}

// bundles looks at the newer form.
func (f *Found) bundles(ctx context.Context, src Source, digest image.Digest, keys []Key) error {
	raw, err := src.Referrers(ctx, digest, maxManifest)
	if errors.Is(err, ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	var index manifest
	if err := json.Unmarshal(raw, &index); err != nil {
		f.refused("referrers", fmt.Errorf("they cannot be read: %w", err))
		return nil
	}
	looked := 0
	for _, d := range index.Manifests {
		at, err := image.ParseDigest(d.Digest)
		if err != nil || !couldBeBundle(d.ArtifactType) {
			continue
		}
		if looked++; looked > maxSignatures {
			f.refused("referrers", fmt.Errorf("there are more than %d that could be signatures; the others were not looked at", maxSignatures))
			return nil
		}
		if err := f.referrer(ctx, src, at, digest, keys); err != nil {
			return err
		}
	}
	return nil
}

// couldBeBundle passes over what says that it is something else. Some registries
// say of every artefact that it is of its empty configuration's type.
func couldBeBundle(artifactType string) bool {
	switch artifactType {
	case "", "application/vnd.oci.empty.v1+json":
		return true
	default:
		return strings.HasPrefix(artifactType, bundlePrefix)
	}
}

// referrer looks at the bundles of one referrer.
func (f *Found) referrer(ctx context.Context, src Source, at, digest image.Digest, keys []Key) error {
	what := "referrer " + at.String()
	raw, err := src.Manifest(ctx, at.String(), maxManifest)
	if errors.Is(err, ErrAbsent) {
		return nil // an index that is behind; it does not say what this was
	}
	if err != nil {
		return err
	}
	layer, ok := bundleOf(raw)
	if !ok {
		return nil // something else about the image
	}
	blob, err := image.ParseDigest(layer.Digest)
	if err != nil {
		f.refused(what, err)
		return nil
	}
	content, err := src.Blob(ctx, blob, maxPayload)
	if errors.Is(err, ErrAbsent) {
		f.refused(what, err)
		return nil
	}
	if err != nil {
		return err
	}
	name, err := verifyBundle(keys, digest, content)
	switch {
	case errors.Is(err, errOther):
	case err != nil:
		f.refused(what, err)
	default:
		f.valid(name)
	}
	return nil
}

// bundleOf returns the bundle that a manifest wraps, if it wraps one.
func bundleOf(raw []byte) (descriptor, bool) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) != 1 {
		return descriptor{}, false
	}
	return m.Layers[0], strings.HasPrefix(m.Layers[0].MediaType, bundlePrefix)
}
