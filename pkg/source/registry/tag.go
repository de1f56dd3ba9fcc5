package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// digestHeader is where a registry claims what it answers with.
const digestHeader = "Docker-Content-Digest"

// Head returns the digest that the registry claims for a tag, in one round trip and
// without reading content. If the registry does not claim a sha256 digest, Head reads the
// manifest and recomputes it. Only such a read tells that a tag does not exist.
func (c *Client) Head(ctx context.Context, r image.Repository, tag string, as Credentials) (image.Digest, error) {
	what := fmt.Sprintf("%s:%s", r, tag)
	s, err := c.repository(ctx, r, as)
	if err != nil {
		return image.Digest{}, classify(what, err)
	}
	claimed, err := s.head(ctx, tag)
	if err == nil && claimed.IsZero() {
		var m manifest
		m, err = s.tagged(ctx, tag)
		claimed = m.digest
	}
	return claimed, classify(what, err)
}

// Tagged returns the digest of what a tag points to, recomputed from the bytes. A HEAD may
// lag behind, or claim what the registry does not have: callers believe Head only where
// somebody else says the same. If nobody can recompute the digest, as the manifest is larger
// than is read, Tagged returns what Head claimed, and Content refuses it.
func (c *Client) Tagged(ctx context.Context, r image.Repository, tag string, claimed image.Digest, as Credentials) (image.Digest, error) {
	what := fmt.Sprintf("%s:%s", r, tag)
	s, err := c.repository(ctx, r, as)
	if err != nil {
		return image.Digest{}, classify(what, err)
	}
	m, err := s.tagged(ctx, tag)
	if reason(err) == source.Unreadable && !claimed.IsZero() {
		return claimed, nil
	}
	return m.digest, classify(what, err)
}

// head returns the claimed digest of a tag. It returns the zero Digest if HEAD does not
// tell. Only some registries implement HEAD, and some fail at it: the answer to a GET counts.
func (s *session) head(ctx context.Context, tag string) (image.Digest, error) {
	u := s.manifestURL(url.PathEscape(tag))
	resp, err := s.do(ctx, http.MethodHead, u)
	if err != nil {
		return image.Digest{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return image.Digest{}, nil
	}
	claimed, err := image.ParseDigest(resp.Header.Get(digestHeader))
	if err != nil {
		return image.Digest{}, nil // the GET recomputes it
	}
	return claimed, nil
}

// tagged reads the manifest that a tag points to.
func (s *session) tagged(ctx context.Context, tag string) (manifest, error) {
	a, err := s.get(ctx, s.manifestURL(url.PathEscape(tag)))
	if err != nil {
		return manifest{}, err
	}
	m := newManifest(a.body)
	claimed := a.header.Get(digestHeader)
	algorithm, _, _ := strings.Cut(claimed, ":")
	switch {
	case claimed == m.digest.String():
		return m, nil
	case !json.Valid(a.body) || image.NoJSONObject(a.body):
		// Nobody pushed that: it is a proxy's page, or it was cut.
		return manifest{}, errors.New("the answer is not a whole manifest")
	case m.schema1:
		// Its signature is part of the bytes and not of the digest.
		m.digest, _ = image.ParseDigest(claimed)
		return m, nil
	case algorithm == "" || algorithm == "sha256":
		// The bytes count, whatever the header says.
		return m, nil
	}
	// Pipelines pull by sha256. Some registries have a manifest under each algorithm.
	if _, err := s.byDigest(ctx, m.digest); reason(err) == source.NotFound || isBadRequest(err) {
		return manifest{}, &source.Refusal{Reason: source.DigestUnsupported, Err: fmt.Errorf(
			"the tag points to %.80q, which the registry does not have under a sha256 digest; Revet verifies sha256 digests only: push the image with sha256", claimed)}
	} else if err != nil {
		return manifest{}, err
	}
	return m, nil
}

// byDigest reads a manifest by digest and recomputes the digest.
func (s *session) byDigest(ctx context.Context, d image.Digest) (manifest, error) {
	a, err := s.get(ctx, s.manifestURL(d.String()))
	if err != nil {
		return manifest{}, err
	}
	m := newManifest(a.body)
	switch {
	case m.digest == d:
		return m, nil
	case m.schema1:
		// Its signature is part of the bytes and not of the digest.
		return manifest{}, fmt.Errorf("%w: %w", errInvalid, m.unknown)
	default:
		return manifest{}, &otherContentError{d, m.digest}
	}
}

// otherContentError means that a registry answers with something else than was asked for.
// The next answer may be right.
type otherContentError struct{ asked, got image.Digest }

func (e *otherContentError) Error() string {
	return fmt.Sprintf("the registry answered to %s with the content of %s", e.asked, e.got)
}

func isBadRequest(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest
}
