package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	ociConfig  = "application/vnd.oci.image.config.v1+json"
	tarGzip    = "application/vnd.oci.image.layer.v1.tar+gzip"
	dockerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	signing    = "application/vnd.dev.cosign.simplesigning.v1+json"
)

// store holds blobs by digest, and remembers what was read.
type store struct {
	blobs map[image.Digest][]byte
	reads []image.Kind
}

type object map[string]any

func encode(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *store) put(t *testing.T, mediaType string, raw []byte) object {
	t.Helper()
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256(raw)))
	if err != nil {
		t.Fatal(err)
	}
	s.blobs[d] = raw
	return object{"mediaType": mediaType, "digest": d, "size": len(raw)}
}

func (s *store) read(_ context.Context, kind image.Kind, d image.Descriptor, limit int64) ([]byte, error) {
	s.reads = append(s.reads, kind)
	raw, ok := s.blobs[d.Digest]
	if !ok || int64(len(raw)) > limit {
		return nil, errors.New("it cannot be read")
	}
	return raw, nil
}

// What a manifest is follows from its bytes and from those of config and layers;
// the media type of a layer proves nothing, and what is not read proves nothing.
func TestManifestContent(t *testing.T) {
	payload := []byte(`{"critical":{}}`)
	archive := func(t *testing.T) []byte { return gzipped(t, tarOf(t, tar.FormatUSTAR, "bin/sh")) }
	config := func(diffs int) []byte {
		return []byte(`{"os":"linux","rootfs":{"type":"layers","diff_ids":[` + strings.TrimSuffix(strings.Repeat(`"sha256:`+hexA+`",`, diffs), ",") + `]}}`)
	}
	type layer struct {
		mediaType string
		raw       []byte
	}
	tests := []struct {
		name         string
		manifestType string
		configType   string
		config       []byte
		layers       []layer
		change       func(manifest object, s *store)
		want         image.Runnability
		reads        []image.Kind
	}{
		{name: "an image", configType: ociConfig, config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "a layer of an odd type that is an archive", configType: ociConfig, config: config(1), layers: []layer{{"application/x-whatever", archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "an archive called a signature", configType: ociConfig, config: config(1), layers: []layer{{signing, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "an archive behind a payload", configType: ociConfig, config: config(2), layers: []layer{{signing, payload}, {signing, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer", "layer"}},
		{name: "a signature of cosign 2", configType: ociConfig, config: config(1), layers: []layer{{signing, payload}}, want: image.NoArchive, reads: []image.Kind{"layer"}},
		{name: "a payload that is called a layer", configType: ociConfig, config: config(1), layers: []layer{{tarGzip, payload}}, want: image.NoArchive, reads: []image.Kind{"layer"}},
		{name: "a payload in a Docker manifest", manifestType: image.DockerManifest, configType: "application/vnd.docker.container.image.v1+json", config: config(1), layers: []layer{{dockerGzip, payload}}, want: image.NoArchive, reads: []image.Kind{"layer"}},
		{name: "no layers at all", configType: ociConfig, config: config(0), want: image.HasImageConfig},
		{name: "an encrypted layer", configType: ociConfig, config: config(1), layers: []layer{{tarGzip + "+encrypted", payload}}, want: image.HasImageConfig},
		{name: "a large layer", configType: ociConfig, config: config(1), layers: []layer{{signing, bytes.Repeat([]byte("x"), 1<<20)}}, want: image.HasImageConfig},
		{name: "a layer that claims to be small", configType: ociConfig, config: config(1), layers: []layer{{signing, bytes.Repeat([]byte("x"), 2<<20)}},
			change: func(m object, _ *store) { m["layers"].([]object)[0]["size"] = 9 }, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "a layer that cannot be read", configType: ociConfig, config: config(1), layers: []layer{{signing, payload}},
			change: func(_ object, s *store) { clear(s.blobs) }, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "more layers than are read", configType: ociConfig, config: config(33), layers: slicesOf(33, layer{signing, payload}), want: image.HasImageConfig},
		{name: "layers that are small one by one", configType: ociConfig, config: config(8), layers: slicesOf(8, layer{signing, bytes.Repeat([]byte("x"), 1<<20-1)}), want: image.HasImageConfig},
		{name: "an octet stream for a config", configType: "application/octet-stream", config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "a config without a type", config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "a config that Docker takes for an image's", configType: "text/html", config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "a Helm chart", configType: "application/vnd.cncf.helm.config.v1+json", config: []byte(`{"name":"x"}`), layers: []layer{{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", archive(t)}}, want: image.NoImageConfig},
		{name: "a directory pushed with ORAS", configType: "application/vnd.oci.empty.v1+json", config: []byte(`{}`), layers: []layer{{tarGzip, archive(t)}}, want: image.NoImageConfig},
		{name: "a cache of BuildKit", configType: "application/vnd.buildkit.cacheconfig.v0", config: []byte(`{"layers":[{"blob":"x"}],"records":[]}`), layers: []layer{{tarGzip, archive(t)}}, want: image.NoImageConfig, reads: []image.Kind{"config"}},
		{name: "an artefact with the config of an image, which containerd unpacks", manifestType: image.OCIManifest, configType: "application/vnd.cncf.flux.config.v1+json", config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"config", "layer"}},
		{name: "the same in a Docker manifest", manifestType: image.DockerManifest, configType: "application/vnd.docker.plugin.v1+json", config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"config", "layer"}},
		{name: "the same with a layer of EROFS", configType: "application/x-a", config: config(1), layers: []layer{{"application/vnd.erofs.layer.v1", archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"config", "layer"}},
		{name: "the same with the layer among others", configType: "application/x-a", config: config(1), layers: []layer{{"application/x-b", payload}, {tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"config", "layer", "layer"}},
		{name: "the same with a payload only", configType: "application/x-a", config: config(1), layers: []layer{{tarGzip, payload}}, want: image.NoArchive, reads: []image.Kind{"config", "layer"}},
		{name: "an artefact with the config of an image and no layers that containerd takes", configType: "application/x-a", config: config(1), layers: []layer{{"application/x-b", archive(t)}}, want: image.NoImageConfig},
		{name: "an artefact whose config is no JSON", configType: "application/x-a", config: []byte("a: b"), layers: []layer{{tarGzip, archive(t)}}, want: image.NoImageConfig, reads: []image.Kind{"config"}},
		{name: "an artefact whose config cannot be read", configType: "application/x-a", config: []byte(`{"a":1}`), layers: []layer{{tarGzip, archive(t)}},
			change: func(_ object, s *store) { clear(s.blobs) }, want: image.HasImageConfig, reads: []image.Kind{"config", "layer"}},
		{name: "a type that only begins like a config's", configType: ociConfig + "; charset=utf-8", config: config(1), layers: []layer{{tarGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"config", "layer"}},
		{name: "a config of whatever type in a Docker manifest, which containers/image runs", manifestType: image.DockerManifest, configType: "application/x-evil", config: config(1), layers: []layer{{dockerGzip, archive(t)}}, want: image.HasImageConfig, reads: []image.Kind{"layer"}},
		{name: "the same with a payload only", manifestType: image.DockerManifest, configType: "application/x-evil", config: config(1), layers: []layer{{dockerGzip, payload}}, want: image.NoArchive, reads: []image.Kind{"layer"}},
		{name: "the same with a layer that is not of Docker", manifestType: image.DockerManifest, configType: "application/x-evil", config: config(0), layers: []layer{{dockerGzip, archive(t)}, {tarGzip, archive(t)}}, want: image.NoImageConfig, reads: []image.Kind{"config"}},
		{name: "OCI's former artifact manifest", change: func(m object, _ *store) {
			delete(m, "config")
			delete(m, "layers")
			m["mediaType"], m["blobs"] = "application/vnd.oci.artifact.manifest.v1+json", []any{}
			delete(m, "schemaVersion")
		}, want: image.NoImageConfig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &store{blobs: map[image.Digest][]byte{}}
			m := object{"schemaVersion": 2, "config": s.put(t, tt.configType, tt.config), "layers": []object{}}
			if tt.manifestType != "" {
				m["mediaType"] = tt.manifestType
			}
			for _, l := range tt.layers {
				m["layers"] = append(m["layers"].([]object), s.put(t, l.mediaType, l.raw))
			}
			if tt.change != nil {
				tt.change(m, s)
			}
			parsed, err := image.ParseManifest(encode(t, m), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, parsed.Content(t.Context(), s.read).Runnability()); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.reads, s.reads); diff != "" {
				t.Errorf("reads (-want +got):\n%s", diff)
			}
		})
	}
}

func slicesOf[T any](n int, v T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// What can be read in two ways, or in none, is not known.
func TestParseManifestRefuses(t *testing.T) {
	d := `{"mediaType":"` + ociConfig + `","digest":"sha256:` + hexA + `","size":1}`
	for _, test := range []struct{ name, raw, claimed, says string }{
		{"no JSON", "<html>", "", "not a manifest"},
		{"more after the document", `{"schemaVersion":2,"config":` + d + `} {}`, "", "more data follows"},
		{"both readings", `{"schemaVersion":2,"manifests":[],"config":` + d + `}`, "", "ambiguous"},
		{"both readings, the config left out", `{"schemaVersion":2,"manifests":[],"layers":[]}`, "", "ambiguous"},
		{"both readings, in other letters", `{"schemaVersion":2,"Manifests":[],"CONFIG":` + d + `}`, "", "ambiguous"},
		{"an image that calls itself an index", `{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","config":` + d + `}`, "", "ambiguous"},
		{"an index that calls itself an image", `{"schemaVersion":2,"mediaType":"` + image.DockerManifest + `","manifests":[]}`, "", "ambiguous"},
		{"an image that is called an index", `{"schemaVersion":2,"config":` + d + `}`, image.DockerList, "ambiguous"},
		{"two names for one thing", `{"schemaVersion":2,"mediaType":"` + image.OCIManifest + `","config":` + d + `}`, image.DockerManifest, "ambiguous"},
		{"an image that calls itself something else", `{"schemaVersion":2,"mediaType":"text/plain","config":` + d + `}`, "", "ambiguous"},
		{"schema version 1", `{"schemaVersion":1,"fsLayers":[]}`, "", "build and push the image again"},
		{"layers of schema version 1", `{"schemaVersion":2,"fsLayers":[],"config":` + d + `}`, "", "build and push the image again"},
		{"no schema version", `{"config":` + d + `}`, "", "schemaVersion is 0"},
		{"content without a digest", `{"schemaVersion":2,"config":{}}`, "", "without a digest"},
		{"a negative size", `{"schemaVersion":2,"config":` + strings.Replace(d, `:1}`, `:-1}`, 1) + `}`, "", "size -1"},
		{"another digest than sha256", `{"schemaVersion":2,"config":` + strings.Replace(d, "sha256", "sha512", 1) + `}`, "", "sha256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := image.ParseManifest([]byte(test.raw), test.claimed)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %+v, %v; want an error that says %q", m, err, test.says)
			}
		})
	}
}

// What an index names and declares to be no manifest is nothing that runs, unless
// it could be read as a manifest.
func TestBlobContent(t *testing.T) {
	d := `{"mediaType":"` + ociConfig + `","digest":"sha256:` + hexA + `","size":1}`
	for _, test := range []struct {
		name, raw string
		want      image.Runnability
	}{
		{"a layer", "\x1f\x8b\x08", image.NoManifest},
		{"a config of BuildKit's cache", `{"layers":[{"blob":"x","parent":-1}],"records":[]}`, image.NoManifest},
		{"a list", ` [1]`, image.NoManifest},
		{"an image", `{"schemaVersion":2,"config":` + d + `}`, image.NothingKnown},
		{"an index", `{"schemaVersion":2,"manifests":[]}`, image.NothingKnown},
		{"an image after white space", "\n\t " + `{"config":` + d + `,"schemaVersion":2}`, image.NothingKnown},
		{"what some reader could take for an image", `{"config":` + d + `}`, image.NothingKnown},
		{"JSON that breaks off", `{"config":`, image.NothingKnown},
		{"nothing", "", image.NothingKnown},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := image.BlobContent([]byte(test.raw)).Runnability(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Runtimes hold the config as a value, which a null after it leaves as it is.
func TestParseManifestKeepsConfig(t *testing.T) {
	d := `{"mediaType":"` + ociConfig + `","digest":"sha256:` + hexA + `","size":1}`
	for _, test := range []struct {
		name, raw string
		want      image.Runnability
	}{
		{"a config", `{"schemaVersion":2,"config":` + d + `}`, image.HasImageConfig},
		{"a null after it", `{"schemaVersion":2,"config":` + d + `,"config":null}`, image.HasImageConfig},
		{"a null before it", `{"schemaVersion":2,"config":null,"config":` + d + `}`, image.HasImageConfig},
		{"a null after it, in other letters", `{"schemaVersion":2,"config":` + d + `,"Config":null}`, image.HasImageConfig},
		{"in two parts", `{"schemaVersion":2,"config":{"mediaType":"` + ociConfig + `","size":1},"config":{"digest":"sha256:` + hexA + `"}}`, image.HasImageConfig},
		{"another type after it", `{"schemaVersion":2,"config":` + d + `,"config":{"mediaType":"application/x-a"}}`, image.NoImageConfig},
		{"a null only", `{"schemaVersion":2,"config":null}`, image.NoImageConfig},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := image.ParseManifest([]byte(test.raw), "")
			if err != nil {
				t.Fatal(err)
			}
			s := &store{}
			if diff := cmp.Diff(test.want, m.Content(t.Context(), s.read).Runnability()); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}
