package signature

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// Remote is the Source of a repository in a registry.
type Remote struct {
	repository name.Repository
	puller     *remote.Puller
	options    []remote.Option
}

// NewRemote returns the Source of repository.
func NewRemote(repository image.Repository, o fetch.Options) (*Remote, error) {
	o.Answer = maxManifest // the library reads up to 100 MiB
	named, rt, err := fetch.Guarded(repository, o)
	if err != nil {
		return nil, err
	}
	options := []remote.Option{remote.WithTransport(rt)}
	if o.Keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(o.Keychain))
	} else {
		options = append(options, remote.WithAuth(authn.Anonymous))
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, fmt.Errorf("registry %q: %w", repository.Host(), err)
	}
	return &Remote{repository: named, puller: puller, options: options}, nil
}

// Manifest implements Source.
func (r *Remote) Manifest(ctx context.Context, reference string, limit int64) ([]byte, error) {
	var ref name.Reference = r.repository.Tag(reference)
	d, err := image.ParseDigest(reference)
	if err == nil {
		ref = r.repository.Digest(d.String())
	}
	desc, err := r.puller.Get(ctx, ref)
	if err != nil {
		return nil, absent(err)
	}
	if int64(len(desc.Manifest)) > limit {
		return nil, tooLarge(reference, limit)
	}
	if d.IsZero() {
		return desc.Manifest, nil
	}
	// The library believes a header in one case: a manifest of schema 1.
	if got, _, err := v1.SHA256(bytes.NewReader(desc.Manifest)); err != nil || got.String() != d.String() {
		return nil, content.Errorf(content.ReasonCorrupted, "manifest "+d.String(), "its bytes have the digest %s", got)
	}
	return desc.Manifest, nil
}

// Blob implements Source.
func (r *Remote) Blob(ctx context.Context, d image.Digest, limit int64) ([]byte, error) {
	layer, err := r.puller.Layer(ctx, r.repository.Digest(d.String()))
	if err != nil {
		return nil, absent(err)
	}
	rc, err := layer.Compressed() // the blob as it is; its digest is verified as it is read
	if err != nil {
		return nil, absent(err)
	}
	defer func() { _ = rc.Close() }() // it was read
	b, err := io.ReadAll(io.LimitReader(rc, limit+1))
	if err != nil {
		return nil, absent(err)
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(d.String(), limit)
	}
	return b, nil
}

// Referrers implements Source.
func (r *Remote) Referrers(ctx context.Context, d image.Digest, limit int64) ([]byte, error) {
	index, err := remote.Referrers(r.repository.Digest(d.String()), append([]remote.Option{remote.WithContext(ctx)}, r.options...)...)
	if err != nil {
		return nil, absent(err)
	}
	raw, err := index.RawManifest()
	if err != nil {
		return nil, absent(err)
	}
	if int64(len(raw)) > limit {
		return nil, tooLarge("referrers of "+d.String(), limit)
	}
	return raw, nil
}

// absent tells what is not there from what cannot be read.
func absent(err error) error {
	var status *transport.Error
	if errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return ErrAbsent
	}
	return fetch.Classify("", err)
}

func tooLarge(what string, limit int64) error {
	return content.Errorf(content.ReasonTooLarge, what, "it has more than %d bytes", limit)
}
