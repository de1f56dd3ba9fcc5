package main

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// An image whose layers runtimes read differently does not pass: what one of them
// shows, a scanner may not have seen.
func TestAmbiguousLayersFail(t *testing.T) {
	for name, entries := range map[string][]string{
		"an opaque marker at the root": {".wh..wh..opq"},
		"a whiteout and its directory": {".wh.var", "var/"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			p.push(func(*v1.ConfigFile) {})
			img, err := random.Image(512, 1)
			if err != nil {
				t.Fatal(err)
			}
			img, err = mutate.AppendLayers(img, layerOf(t, "var/", "var/lib"), layerOf(t, entries...))
			if err != nil {
				t.Fatal(err)
			}
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			config = config.DeepCopy()
			config.OS, config.Architecture = "linux", "amd64"
			if img, err = mutate.ConfigFile(img, config); err != nil {
				t.Fatal(err)
			}
			p.pushed(img)
			p.params["publish"] = "none"
			got, summary := p.finish()
			found := 0
			for _, f := range summary.Findings {
				if f.Check == "layers" && f.Rule == "ambiguous-layers" && f.Severity == "error" {
					found++
				}
			}
			if got["verdict"] != "fail" || found != 1 {
				t.Errorf("the verdict is %v with %+v", got, summary.Findings)
			}
		})
	}
}

// layerOf packs empty files, and directories whose names end in a slash.
func layerOf(t *testing.T, names ...string) v1.Layer {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}
