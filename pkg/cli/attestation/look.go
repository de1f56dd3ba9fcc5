package attestation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/signature"
	"github.com/revet-dev/revet/pkg/sigstore"
)

const (
	maxManifest = 1 << 20
	maxBundle   = 8 << 20
	// maxRead bounds what is read of all bundles together.
	maxRead = 64 << 20
)

// errNotVerified means that the registry was read, and has no verdict that is as expected.
var errNotVerified = errors.New("the image is not verified")

// look reads every bundle beside the image. It returns the newest summary that is as expected.
func look(ctx context.Context, source signature.Source, want attestation.Expectation) (attestation.Verified, error) {
	all, err := source.Referrers(ctx, want.Image.Digest())
	if err != nil {
		return attestation.Verified{}, err
	}
	var best attestation.Verified
	var refused []string
	left := int64(maxRead)
	for _, r := range all {
		bundle, err := read(ctx, source, r.Digest, left)
		if err != nil {
			return attestation.Verified{}, fmt.Errorf("reading the referrer %s: %w", r.Digest, err)
		}
		if bundle == nil {
			continue
		}
		left -= int64(len(bundle))
		v, err := attestation.Verify(bundle, want)
		switch {
		case errors.Is(err, attestation.ErrResult):
			return attestation.Verified{}, fmt.Errorf("%w: %w", errNotVerified, err)
		case errors.Is(err, attestation.ErrOther), errors.Is(err, sigstore.ErrUntrusted):
			refused = append(refused, err.Error())
		case err != nil:
			refused = append([]string{err.Error()}, refused...) // by a trusted key: the likelier cause
		case best.Key == "" || v.Summary.TimeVerified.After(best.Summary.TimeVerified):
			best = v
		}
	}
	switch {
	case best.Key != "":
		return best, nil
	case len(refused) == 0:
		return best, fmt.Errorf("%w: its registry has no signed document about it", errNotVerified)
	default:
		return best, fmt.Errorf("%w: none of the %d signed documents about it holds; %s", errNotVerified, len(refused), refused[0])
	}
}

// read returns the bundle that a referrer wraps; nil if it is no bundle, or was deleted.
func read(ctx context.Context, source signature.Source, at image.Digest, left int64) ([]byte, error) {
	raw, err := source.Manifest(ctx, at.String(), maxManifest)
	if errors.Is(err, signature.ErrAbsent) {
		return nil, nil // the list is out of date
	}
	if err != nil {
		return nil, err
	}
	var m struct {
		Layers []struct {
			MediaType string `json:"mediaType"`
			Digest    string `json:"digest"`
		} `json:"layers"`
	}
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) != 1 || !strings.HasPrefix(m.Layers[0].MediaType, sigstore.BundlePrefix) {
		return nil, nil //nolint:nilerr // it is something else about the image
	}
	blob, err := image.ParseDigest(m.Layers[0].Digest)
	if err != nil {
		return nil, err
	}
	if left <= 0 {
		return nil, fmt.Errorf("the bundles beside the image are larger than %d bytes together; delete those that nobody needs", maxRead)
	}
	bundle, err := source.Blob(ctx, blob, min(left, maxBundle))
	if errors.Is(err, signature.ErrAbsent) {
		return nil, nil
	}
	return bundle, err
}
