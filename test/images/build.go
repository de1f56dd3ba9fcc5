package images

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// edit makes a configuration good or bad.
type edit func(*v1.ConfigFile)

func good(c *v1.ConfigFile) {
	c.Config.User = "65532"
	c.Config.Env = []string{"PATH=/bin", "DB_PASSWORD_FILE=/run/secrets/db"}
	c.Config.Labels["org.opencontainers.image.source"] = "https://example.com/revet/sample"
	c.History = append(c.History, v1.History{CreatedBy: "RUN --mount=type=secret,id=npm npm ci --token=$NPM_TOKEN", EmptyLayer: true})
}

func bad(c *v1.ConfigFile) {
	c.Config.User = ""
	c.Config.Env = []string{"PATH=/bin", "DB_PASSWORD=this-is-no-password"}
	c.History = append(c.History, v1.History{CreatedBy: "RUN |1 NPM_TOKEN=this-is-no-token /bin/sh -c npm ci", EmptyLayer: true})
}

// image builds an image for linux/amd64; more layers follow its own.
func image(o Options, e edit, more ...v1.Layer) (artefact, error) {
	img, err := build(o, "amd64", e, more...)
	return artefact{what: img}, err
}

func build(o Options, architecture string, e edit, more ...v1.Layer) (v1.Image, error) {
	base, err := baseLayer(architecture)
	if err != nil {
		return nil, err
	}
	return buildOn(o, architecture, e, base, more...)
}

// buildOn is build on another base.
func buildOn(o Options, architecture string, e edit, base v1.Layer, more ...v1.Layer) (v1.Image, error) {
	program, err := filesLayer([]file{{name: "app", mode: 0o755, content: application(architecture)}})
	if err != nil {
		return nil, err
	}
	layers := []v1.Layer{base, program}
	for _, l := range more {
		if m, ok := l.(misnamed); ok {
			m.Layer = layers[0]
			l = m
		}
		layers = append(layers, l)
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...)
	if err != nil {
		return nil, fmt.Errorf("add layers: %w", err)
	}
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Created = v1.Time{Time: o.Now.UTC().Truncate(time.Second).Add(-time.Minute)}
	config.Config.Entrypoint = []string{"/app"}
	config.Config.Labels = map[string]string{"example.com/salt": o.Salt}
	e(config)
	return mutate.ConfigFile(img, config)
}

// baseLayer is a Debian 12 of two packages: an image in which no package is found
// deserves no verdict that says anything of vulnerabilities.
func baseLayer(architecture string) (v1.Layer, error) {
	release, err := testdata.ReadFile("testdata/debian/os-release")
	if err != nil {
		return nil, err
	}
	return debianLayer(architecture, release)
}

// debianLayer is a Debian of two packages, of a release.
func debianLayer(architecture string, release []byte) (v1.Layer, error) {
	var status strings.Builder
	for _, p := range [][2]string{{"base-files", "12.4+deb12u11"}, {"tzdata", "2025b-0+deb12u1"}} {
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: %s\nVersion: %s\n\n", p[0], architecture, p[1])
	}
	return filesLayer([]file{
		{name: "etc/os-release", mode: 0o644, content: release},
		{name: "var/lib/dpkg/status", mode: 0o644, content: []byte(status.String())},
	})
}

// zerosLayer packs one file of zeros without ever holding it.
func zerosLayer(size int64) (v1.Layer, error) {
	var packed bytes.Buffer
	unpacked := sha256.New()
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(io.MultiWriter(z, unpacked))
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: size}); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	diff := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(unpacked.Sum(nil))}
	return named{Layer: static.NewLayer(packed.Bytes(), types.OCILayer), diff: diff}, nil
}

// zeros reads as zeros without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// named is a layer whose diff_id is known.
type named struct {
	v1.Layer
	diff v1.Hash
}

// DiffID returns the digest of what it unpacks to.
func (n named) DiffID() (v1.Hash, error) { return n.diff, nil }

// misnamed is the image's first layer once more, under a false diff_id.
type misnamed struct{ v1.Layer }

// DiffID returns the digest of something else.
func (misnamed) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(strings.NewReader("something else"))
	return h, err
}

// child is an image of an index.
type child struct {
	architecture string
	edit         edit
	// named is the architecture by the index; empty for the image's own.
	named string
}

func index(o Options, children ...child) (artefact, error) {
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, c := range children {
		img, err := build(o, c.architecture, c.edit)
		if err != nil {
			return artefact{}, err
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: cmp.Or(c.named, c.architecture)}},
		})
	}
	return artefact{what: idx}, nil
}

// attested adds to an index what BuildKit adds: a manifest for the platform
// unknown/unknown, whose one layer is a statement.
func attested(o Options) (artefact, error) {
	a, err := index(o, child{architecture: "amd64", edit: good})
	if err != nil {
		return artefact{}, err
	}
	statement := static.NewLayer([]byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), "application/vnd.in-toto+json")
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), statement)
	if err != nil {
		return artefact{}, err
	}
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	return artefact{what: mutate.AppendManifests(a.what.(v1.ImageIndex), mutate.IndexAddendum{
		Add: img,
		Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
		},
	})}, nil
}

func notAnImage(o Options) (artefact, error) {
	thing := static.NewLayer([]byte("a thing, "+o.Salt), "application/vnd.example.thing.v1")
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), thing)
	if err != nil {
		return artefact{}, err
	}
	return artefact{what: mutate.ConfigMediaType(img, "application/vnd.example.thing.config.v1+json")}, nil
}
