package signature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Remote is a Source that reads a repository in a registry.
type Remote struct{ registry *fetch.Registry }

// NewRemote returns a Remote for repository.
func NewRemote(ctx context.Context, repository image.Repository, o fetch.Options) (*Remote, error) {
	registry, err := fetch.NewRegistry(ctx, repository, o)
	if err != nil {
		return nil, err
	}
	return &Remote{registry}, nil
}

// Manifest implements Source.
func (r *Remote) Manifest(ctx context.Context, reference string, limit int64) ([]byte, error) {
	if d, err := image.ParseDigest(reference); err == nil {
		rc, err := r.registry.Manifest(ctx, d)
		return verified(rc, err, "manifest", d, limit)
	}
	rc, err := r.registry.Tagged(ctx, reference)
	if err != nil {
		return nil, absent(err)
	}
	return readAll(rc, "tag "+reference, limit)
}

// Blob implements Source.
func (r *Remote) Blob(ctx context.Context, d image.Digest, limit int64) ([]byte, error) {
	rc, err := r.registry.Blob(ctx, d)
	return verified(rc, err, "blob", d, limit)
}

// Referrers implements Source.
func (r *Remote) Referrers(ctx context.Context, d image.Digest) ([]fetch.Referrer, error) {
	return r.registry.Referrers(ctx, d)
}

// verified reads content and checks that its digest is d.
func verified(rc io.ReadCloser, err error, kind string, d image.Digest, limit int64) ([]byte, error) {
	if err != nil {
		return nil, absent(err)
	}
	subject := kind + " " + d.String()
	raw, err := readAll(rc, subject, limit)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != d.Hex() {
		return nil, oci.Errorf(oci.ReasonCorrupted, subject, "its bytes have the digest sha256:%x", sum)
	}
	return raw, nil
}

func readAll(rc io.ReadCloser, subject string, limit int64) ([]byte, error) {
	defer func() { _ = rc.Close() }() // reading is complete
	raw, err := io.ReadAll(io.LimitReader(rc, limit+1))
	if err != nil {
		return nil, fetch.Classify(subject, err)
	}
	if int64(len(raw)) > limit {
		return nil, oci.Errorf(oci.ReasonTooLarge, subject, "it is larger than %d bytes", limit)
	}
	return raw, nil
}

// absent turns "not found" into ErrAbsent. It keeps other errors.
func absent(err error) error {
	var e *oci.Error
	if errors.As(err, &e) && e.Reason == oci.ReasonMissing {
		return ErrAbsent
	}
	return err
}
