package openshift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// configLimit is far above any image's configuration.
const configLimit = 8 << 20

// errNotThere is a manifest or tag that the registry does not have.
var errNotThere = errors.New("the registry does not have it")

// source reads the registry.
type source struct {
	registry name.Registry
	puller   *remote.Puller
}

func newSource(url string) (*source, error) {
	registry, err := name.NewRegistry(strings.TrimPrefix(strings.TrimSuffix(url, "/"), "http://"), name.Insecure)
	if err != nil {
		return nil, fmt.Errorf("reading the registry's URL %q: %w", url, err)
	}
	puller, err := remote.NewPuller(remote.WithTransport(bridgeTransport{remote.DefaultTransport}))
	if err != nil {
		return nil, fmt.Errorf("making a client of the registry: %w", err)
	}
	return &source{registry, puller}, nil
}

// bridgeTransport marks requests as the bridge's own.
type bridgeTransport struct{ next http.RoundTripper }

// RoundTrip adds the mark.
func (t bridgeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(bridgeHeader, "true")
	return t.next.RoundTrip(r)
}

func (s *source) manifest(ctx context.Context, repository string, digest v1.Hash) (manifest, error) {
	repo := s.registry.Repo(repository)
	d, err := s.puller.Get(ctx, repo.Digest(digest.String()))
	if err != nil {
		return manifest{}, fmt.Errorf("reading manifest %s of %q: %w", digest, repository, absent(err))
	}
	m := manifest{digest: digest, mediaType: d.MediaType, raw: d.Manifest}
	if d.MediaType.IsIndex() {
		return m, nil
	}
	parsed, err := v1.ParseManifest(strings.NewReader(string(d.Manifest)))
	if err != nil {
		return manifest{}, fmt.Errorf("%w: manifest %s of %q: %w", errUnreadable, digest, repository, err)
	}
	m.config, err = s.blob(ctx, repo.Digest(parsed.Config.Digest.String()))
	if err != nil {
		return manifest{}, fmt.Errorf("reading the configuration of %s in %q: %w", digest, repository, absent(err))
	}
	return m, nil
}

func (s *source) blob(ctx context.Context, ref name.Digest) ([]byte, error) {
	layer, err := s.puller.Layer(ctx, ref)
	if err != nil {
		return nil, err
	}
	r, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, configLimit))
}

// repositories lists all of the registry's.
func (s *source) repositories(ctx context.Context) ([]string, error) {
	all, err := remote.Catalog(ctx, s.registry)
	if err != nil {
		return nil, fmt.Errorf("listing the registry's repositories: %w", err)
	}
	return all, nil
}

// tags lists a repository's tags with what they point to.
func (s *source) tags(ctx context.Context, repository string) (map[string]v1.Hash, error) {
	repo := s.registry.Repo(repository)
	names, err := remote.List(repo, remote.WithContext(ctx), remote.Reuse(s.puller))
	if errors.Is(absent(err), errNotThere) {
		return nil, nil // a repository whose last tag was deleted
	}
	if err != nil {
		return nil, fmt.Errorf("listing the tags of %q: %w", repository, err)
	}
	tags := map[string]v1.Hash{}
	for _, tag := range names {
		digest, err := s.tag(ctx, repository, tag)
		if errors.Is(err, errNotThere) {
			continue
		}
		if err != nil {
			return nil, err
		}
		tags[tag] = digest
	}
	return tags, nil
}

func (s *source) tag(ctx context.Context, repository, tag string) (v1.Hash, error) {
	d, err := s.puller.Head(ctx, s.registry.Repo(repository).Tag(tag))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("reading tag %q of %q: %w", tag, repository, absent(err))
	}
	return d.Digest, nil
}

// untag removes a tag; one that is not there is fine.
func (s *source) untag(ctx context.Context, repository, tag string) error {
	err := absent(remote.Delete(s.registry.Repo(repository).Tag(tag), remote.WithContext(ctx)))
	if err != nil && !errors.Is(err, errNotThere) {
		return fmt.Errorf("removing tag %q of %q from the registry: %w", tag, repository, err)
	}
	return nil
}

// absent turns the registry's 404 into errNotThere.
func absent(err error) error {
	if status := (*transport.Error)(nil); errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w (%w)", errNotThere, err)
	}
	return err
}
