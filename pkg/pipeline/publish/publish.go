package publish

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	emptyType = "application/vnd.oci.empty.v1+json"
	emptyBlob = "{}"
	// kindAnnotation marks what this package pushed, with its kind.
	kindAnnotation = "revet.dev/report"
	attempts       = 12
	// pause is the time that another writer of the fallback tag may take between reading and
	// writing.
	pause = 300 * time.Millisecond
)

// Artifact is an artefact to push.
type Artifact struct {
	// Subject is the image or index it is about.
	Subject oci.Descriptor
	// Type is the media type of both Content and the artefact.
	Type    string
	Content []byte
	// Title is the file name under which clients save it.
	Title string
	// Kind tells apart what replaces one another in a list under the fallback tag; empty
	// stands for Type.
	Kind        string
	Annotations map[string]string
}

// annotations returns the annotations of the artefact's manifest and of its entry in a list.
func (a Artifact) annotations() map[string]string {
	all := map[string]string{kindAnnotation: cmp.Or(a.Kind, a.Type)}
	maps.Copy(all, a.Annotations)
	return all
}

// Registry pushes artefacts to one repository.
type Registry struct {
	repository name.Repository
	options    []remote.Option
	// open starts a read session.
	open  func(ctx context.Context) (*fetch.Registry, error)
	pause time.Duration
}

// NewRegistry returns the registry of repository.
func NewRegistry(repository image.Repository, o fetch.Options) (*Registry, error) {
	open := func(ctx context.Context) (*fetch.Registry, error) { return fetch.NewRegistry(ctx, repository, o) }
	bounded := o
	bounded.Answer = oci.MaxManifest // the library would read up to 100 MiB
	named, rt, err := fetch.Guarded(repository, bounded)
	if err != nil {
		return nil, err
	}
	auth := remote.WithAuth(authn.Anonymous)
	if o.Keychain != nil {
		auth = remote.WithAuthFromKeychain(o.Keychain)
	}
	options := []remote.Option{remote.WithTransport(lenient{rt}), remote.WithRetryPredicate(fetch.Repeatable), auth}
	return &Registry{repository: named, options: options, open: open, pause: pause}, nil
}

// WithPause returns r with another time that other writers of the fallback tag may take.
func (r *Registry) WithPause(pause time.Duration) *Registry {
	other := *r
	other.pause = pause
	return &other
}

// Push writes a and returns its digest.
func (r *Registry) Push(ctx context.Context, a Artifact) (image.Digest, error) {
	m, err := newManifest(a, withArtifactType)
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
	if m, err = r.settle(ctx, reader, a, m, options); err != nil {
		return image.Digest{}, failed(ctx, a, err)
	}
	return m.digest, nil
}

// settle writes m until the registry lists it, and still lists it after a pause. It returns the
// manifest that the registry accepted. A crash in between leaves an artefact that only its digest
// leads to. The next run of the step writes it again.
func (r *Registry) settle(ctx context.Context, reader *fetch.Registry, a Artifact, m manifest, options []remote.Option) (manifest, error) {
	api, err := reader.HasReferrers(ctx, a.Subject.Digest)
	if err != nil {
		return manifest{}, err
	}
	list, err := r.fallback(a.Subject.Digest, options)
	if err != nil {
		return manifest{}, err
	}
	seen := 0
	for attempt := range attempts {
		if seen == 0 {
			if m, err = r.put(a, m, options); err != nil {
				return manifest{}, err
			}
			failpoint.Hit("publish.stored")
			if !api {
				if list.own, err = entry(a, m); err != nil {
					return manifest{}, err
				}
				if err := list.update(ctx); err != nil {
					return manifest{}, err
				}
				failpoint.Hit("publish.listed")
			}
		}
		listed, err := listsAny(ctx, reader, a.Subject.Digest, []image.Digest{m.digest})
		if err == nil && listed && !api {
			listed, err = list.complete()
		}
		switch {
		case err != nil:
			return manifest{}, err
		case !listed:
			seen = 0
		case seen == 1:
			return m, nil
		default:
			seen++
		}
		if err := r.rest(ctx, attempt); err != nil {
			return manifest{}, err
		}
	}
	return manifest{}, errors.New("other writers kept replacing the list of referrers; the report was written, but only its digest leads to it; run the step again")
}

// Manifests returns the digests of the manifests that Push may write for a, the one that most
// registries take first.
func Manifests(a Artifact) ([]image.Digest, error) {
	var all []image.Digest
	for _, as := range []form{withArtifactType, withConfigType} {
		m, err := newManifest(a, as)
		if err != nil {
			return nil, err
		}
		all = append(all, m.digest)
	}
	return all, nil
}

// put writes m. If a registry refuses the field artifactType, put writes the older form that the
// OCI specification provides for this case, with the type in the configuration's media type.
func (r *Registry) put(a Artifact, m manifest, options []remote.Option) (manifest, error) {
	err := remote.Put(r.repository.Digest(m.digest.String()), m, options...)
	if err == nil || m.form == withConfigType || !fetch.Refused(err) {
		return m, err
	}
	older, otherErr := newManifest(a, withConfigType)
	if otherErr != nil {
		return m, otherErr
	}
	if remote.Put(r.repository.Digest(older.digest.String()), older, options...) != nil {
		return m, err // report the first refusal
	}
	return older, nil
}

// rest waits before the list is read once more.
func (r *Registry) rest(ctx context.Context, attempt int) error {
	t := time.NewTimer(r.pause + rand.N(r.pause*time.Duration(attempt+1))) //nolint:gosec // the random part keeps writers apart
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
		return oci.Errorf(oci.ReasonTimedOut, subject, "time ran out while pushing it; raise --timeout of the step: %w", err)
	}
	return fetch.ClassifyPush(subject, err)
}

// manifest is an encoded manifest of an artefact.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
	digest    image.Digest
	form      form
}

// form says how a manifest names the type of an artefact.
type form string

const (
	// withArtifactType is the form of OCI 1.1: the field artifactType.
	withArtifactType form = "artifactType"
	// withConfigType is for registries that refuse that field.
	withConfigType form = "config"
)

// RawManifest implements remote.Taggable.
func (m manifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType implements remote.Taggable.
func (m manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

func newManifest(a Artifact, as form) (manifest, error) {
	if a.Subject.Digest.IsZero() || a.Subject.MediaType == "" || a.Type == "" {
		return manifest{}, fmt.Errorf("the artefact of type %q about %q is incomplete", a.Type, a.Subject.Digest)
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
	configType, artifactType := types.MediaType(emptyType), a.Type
	if as == withConfigType {
		configType, artifactType = types.MediaType(a.Type), ""
	}
	raw, err := json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType,omitempty"`
	}{v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: configType, Digest: config, Size: int64(len(emptyBlob)), Data: []byte(emptyBlob)},
		Layers: []v1.Descriptor{{
			MediaType: types.MediaType(a.Type), Digest: blob, Size: int64(len(a.Content)),
			Annotations: map[string]string{"org.opencontainers.image.title": a.Title},
		}},
		Subject:     &v1.Descriptor{MediaType: types.MediaType(a.Subject.MediaType), Digest: subject, Size: a.Subject.Size},
		Annotations: a.annotations(),
	}, artifactType})
	if err != nil {
		return manifest{}, fmt.Errorf("encode the manifest of report %s: %w", a.Title, err)
	}
	h, err := hash(raw)
	if err != nil {
		return manifest{}, err
	}
	d, err := image.ParseDigest(h.String())
	return manifest{raw, types.OCIManifestSchema1, d, as}, err
}
