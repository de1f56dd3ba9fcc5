package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	emptyType = "application/vnd.oci.empty.v1+json"
	emptyBlob = "{}"
	// kindAnnotation marks what this package pushed, with what it is.
	kindAnnotation = "revet.dev/report"
	attempts       = 12
	// pause is how long another writer of the fallback tag may take from its
	// reading to its writing.
	pause = 300 * time.Millisecond
)

// Artifact is what is pushed.
type Artifact struct {
	// Subject is the image or index that it is about.
	Subject oci.Descriptor
	// Type is the media type of Content and of the artefact.
	Type    string
	Content []byte
	// Title is what clients name the file that they save it to.
	Title       string
	Annotations map[string]string
}

// Registry is where artefacts are pushed to: one repository.
type Registry struct {
	repository name.Repository
	options    []remote.Option
	// open begins a session of reading.
	open  func(ctx context.Context) (*fetch.Registry, error)
	pause time.Duration
}

// NewRegistry returns the registry of repository.
func NewRegistry(repository image.Repository, o fetch.Options) (*Registry, error) {
	open := func(ctx context.Context) (*fetch.Registry, error) { return fetch.NewRegistry(ctx, repository, o) }
	bounded := o
	bounded.Answer = oci.MaxManifest // the library reads up to 100 MiB
	named, rt, err := fetch.Guarded(repository, bounded)
	if err != nil {
		return nil, err
	}
	auth := remote.WithAuth(authn.Anonymous)
	if o.Keychain != nil {
		auth = remote.WithAuthFromKeychain(o.Keychain)
	}
	options := []remote.Option{remote.WithTransport(lenient{rt}), auth}
	return &Registry{repository: named, options: options, open: open, pause: pause}, nil
}

// Push writes a and returns its digest.
func (r *Registry) Push(ctx context.Context, a Artifact) (image.Digest, error) {
	m, err := newManifest(a)
	if err != nil {
		return image.Digest{}, err
	}
	reader, err := r.open(ctx)
	if err != nil {
		return image.Digest{}, failed(ctx, a, err)
	}
	options := append([]remote.Option{remote.WithContext(ctx)}, r.options...)
	for _, layer := range []v1.Layer{
		static.NewLayer([]byte(emptyBlob), emptyType),
		static.NewLayer(a.Content, types.MediaType(a.Type)),
	} {
		if err := remote.WriteLayer(r.repository, layer, options...); err != nil {
			return image.Digest{}, failed(ctx, a, err)
		}
	}
	if err := r.settle(ctx, reader, a, m, options); err != nil {
		return image.Digest{}, failed(ctx, a, err)
	}
	return m.digest, nil
}

// settle writes m until the registry lists it, and still does after a pause. A
// crash in between leaves an artefact that is found by its digest only; the next
// run of the step repeats it.
func (r *Registry) settle(ctx context.Context, reader *fetch.Registry, a Artifact, m manifest, options []remote.Option) error {
	seen := 0
	for attempt := range attempts {
		if seen == 0 {
			// The library writes the fallback tag where there is no referrers API.
			if err := remote.Put(r.repository.Digest(m.digest.String()), m, options...); err != nil {
				return err
			}
			if err := r.prune(a, m.digest, options); err != nil {
				return err
			}
		}
		listed, err := lists(ctx, reader, a.Subject.Digest, m.digest)
		switch {
		case err != nil:
			return err
		case !listed:
			seen = 0
		case seen == 1:
			return nil
		default:
			seen++
		}
		if err := wait(ctx, r.pause+rand.N(r.pause*time.Duration(attempt+1))); err != nil { //nolint:gosec // it keeps writers apart
			return err
		}
	}
	return errors.New("others overwrote the list of referrers each time; it was written and is found by its digest only")
}

// prune leaves older artefacts of a's kind out of the fallback tag's list, which
// would grow with each run until clients refuse it. In registries with the
// referrers API there is no such tag, and the registry's own retention decides.
func (r *Registry) prune(a Artifact, own image.Digest, options []remote.Option) error {
	tag := r.repository.Tag("sha256-" + a.Subject.Digest.Hex())
	desc, err := remote.Get(tag, options...)
	if status := (*transport.Error)(nil); errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := v1.ParseIndexManifest(bytes.NewReader(desc.Manifest))
	if err != nil {
		return fmt.Errorf("read the list of referrers under the tag %s: %w", tag.TagStr(), err)
	}
	kept := slices.DeleteFunc(slices.Clone(list.Manifests), func(m v1.Descriptor) bool {
		return m.Annotations[kindAnnotation] == a.Type && m.Digest.String() != own.String()
	})
	if len(kept) == len(list.Manifests) {
		return nil
	}
	list.Manifests = kept
	raw, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode the list of referrers: %w", err)
	}
	return remote.Put(tag, manifest{raw: raw, mediaType: types.OCIImageIndex}, options...)
}

// lists reports whether the registry lists d among the referrers of subject.
func lists(ctx context.Context, reader *fetch.Registry, subject, d image.Digest) (bool, error) {
	all, err := reader.Referrers(ctx, subject)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(r fetch.Referrer) bool { return r.Digest == d }), nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func failed(ctx context.Context, a Artifact, err error) error {
	subject := "report " + a.Title
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return oci.Errorf(oci.ReasonTimedOut, subject, "time ran out while it was pushed: %w", err)
	}
	return fetch.Classify(subject, err)
}

// manifest is that of an artefact, as bytes.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
	digest    image.Digest
}

// RawManifest implements remote.Taggable.
func (m manifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType tells the library how to send it.
func (m manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

func newManifest(a Artifact) (manifest, error) {
	if a.Subject.Digest.IsZero() || a.Subject.MediaType == "" || a.Type == "" {
		return manifest{}, fmt.Errorf("an artefact of the type %q about %q is incomplete", a.Type, a.Subject.Digest)
	}
	hash := func(b []byte) (v1.Hash, error) {
		h, _, err := v1.SHA256(bytes.NewReader(b))
		return h, err
	}
	config, err := hash([]byte(emptyBlob))
	if err != nil {
		return manifest{}, err
	}
	blob, err := hash(a.Content)
	if err != nil {
		return manifest{}, err
	}
	subject, err := v1.NewHash(a.Subject.Digest.String())
	if err != nil {
		return manifest{}, err
	}
	annotations := map[string]string{kindAnnotation: a.Type}
	maps.Copy(annotations, a.Annotations)
	raw, err := json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: emptyType, Digest: config, Size: int64(len(emptyBlob)), Data: []byte(emptyBlob)},
		Layers: []v1.Descriptor{{
			MediaType: types.MediaType(a.Type), Digest: blob, Size: int64(len(a.Content)),
			Annotations: map[string]string{"org.opencontainers.image.title": a.Title},
		}},
		Subject:     &v1.Descriptor{MediaType: types.MediaType(a.Subject.MediaType), Digest: subject, Size: a.Subject.Size},
		Annotations: annotations,
	}, a.Type})
	if err != nil {
		return manifest{}, fmt.Errorf("encode the manifest of report %s: %w", a.Title, err)
	}
	h, err := hash(raw)
	if err != nil {
		return manifest{}, err
	}
	d, err := image.ParseDigest(h.String())
	return manifest{raw, types.OCIManifestSchema1, d}, err
}
