package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
)

// Whatever is accepted as a digest, a repository or a reference prints as it was
// written, comes back as the same, and can do no harm in a path, a label or a
// command line.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"sha256:" + hexA, "sha256:" + strings.ToUpper(hexA), "sha512:" + hexA + hexA, "sha256:../../" + hexA[:58],
		"quay.example/team/app", "localhost:5001/a.b_c__d--e/f", "me@quay.example/x", "quay.example/x:v1", "[::1]/x", "quay.example/../x",
		"quay.example/team/app@sha256:" + hexA, "localhost:5001/a@sha256:" + hexA, "@",
	} {
		f.Add(s)
	}
	some, err := image.ParseDigest("sha256:" + hexA)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := image.ParseDigest(s)
		if (err != nil) != d.IsZero() || (err == nil && d.String() != s) || (err != nil && len(err.Error()) > 500) {
			t.Errorf("the digest %q prints as %q: %v", s, d, err)
		}
		if err == nil {
			digestTravels(t, d)
		}
		r, err := image.ParseRepository(s)
		if (err != nil) != r.IsZero() || (err == nil && (r.String() != s || r.Host()+"/"+r.Path() != s)) {
			t.Errorf("the repository %q prints as %q: %v", s, r, err)
		}
		if err == nil && (strings.ContainsAny(s, "@ \\\"'$`?#%\n") || strings.Contains(r.Path(), ":") || strings.Contains("/"+s+"/", "/../")) {
			t.Errorf("the repository %q is accepted", s)
		}
		if back, parseErr := image.ParseReference(r.At(some).String()); err == nil && (parseErr != nil || back != r.At(some)) {
			t.Errorf("%q comes back as %v: %v", r.At(some), back, parseErr)
		}
		ref, err := image.ParseReference(s)
		if (err != nil) != ref.IsZero() || (err == nil && ref.String() != s) {
			t.Errorf("the reference %q prints as %q: %v", s, ref, err)
		}
	})
}

func digestTravels(t *testing.T, d image.Digest) {
	t.Helper()
	if strings.Trim(d.Hex(), "0123456789abcdef") != "" || len(d.Hex()) != 64 {
		t.Errorf("the digest %q is accepted", d)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back image.Digest
	if err := json.Unmarshal(raw, &back); err != nil || back != d {
		t.Errorf("%q comes back as %v: %v", d, back, err)
	}
}

// What is said to be no archive, a runtime cannot begin to unpack.
func FuzzMayBeArchive(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "bin/sh"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), false)
	f.Add(b.Bytes(), true)
	f.Add(make([]byte, 1024), true)
	f.Add([]byte(`{"critical":{}}`), true)
	f.Add(oldTar(true), false)
	f.Fuzz(func(t *testing.T, raw []byte, compress bool) {
		layer := raw
		if compress {
			layer = gzipped(t, raw)
		}
		if image.MayBeArchive(layer) {
			return
		}
		var r io.Reader = bytes.NewReader(layer)
		if z, err := gzip.NewReader(bytes.NewReader(layer)); err == nil {
			r = z
		}
		if h, err := tar.NewReader(r).Next(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%.600q is said to be no archive; it begins with %+v, %v", layer, h, err)
		}
	})
}

// Whatever a manifest says: what cannot be read never exempts it, bytes with two
// readings are refused, and what is decided does not depend on when it is asked.
func FuzzManifest(f *testing.F) {
	d := func(mediaType string) string {
		return `{"mediaType":"` + mediaType + `","digest":"sha256:` + hexA + `","size":7}`
	}
	f.Add([]byte(`{"schemaVersion":2,"config":`+d(ociConfig)+`,"layers":[`+d(tarGzip)+`]}`), []byte("layer"))
	f.Add([]byte(`{"schemaVersion":2,"config":`+d("x")+`,"layers":[`+d(tarGzip)+`]}`), []byte(`{"rootfs":{"diff_ids":["x"]}}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[`+d(image.OCIManifest)+`]}`), []byte(``))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[],"config":null}`), []byte(``))
	f.Fuzz(func(t *testing.T, raw, blob []byte) {
		m, err := image.ParseManifest(raw, "")
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		var fields struct{ Manifests, Config, Layers json.RawMessage }
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		has := func(r json.RawMessage) bool { return r != nil && string(r) != "null" }
		if has(fields.Manifests) && (has(fields.Config) || has(fields.Layers)) {
			t.Errorf("%s has two readings", raw)
		}
		reads := 0
		read := func(_ context.Context, _ image.Kind, d image.Descriptor, limit int64) ([]byte, error) {
			if reads++; d.Digest.IsZero() || limit <= 0 || limit > 4<<20 {
				t.Errorf("%v is read up to %d bytes", d, limit)
			}
			if int64(len(blob)) > limit {
				return nil, errors.New("too large")
			}
			return blob, nil
		}
		got := m.Content(t.Context(), read)
		unread := m.Content(t.Context(), func(context.Context, image.Kind, image.Descriptor, int64) ([]byte, error) {
			return nil, errors.New("no")
		})
		if reads > 33 || unread.NoArchive || got.NoArchive && image.MayBeArchive(blob) {
			t.Errorf("after %d reads %+v, and %+v unread", reads, got, unread)
		}
		if !unread.Runnable() && got.Runnable() {
			t.Errorf("what was not read exempts %s: %+v, and %+v when read", raw, unread, got)
		}
		if !m.IsIndex() && !got.Runnable() && m.HasImageConfig() && !got.NoArchive {
			t.Errorf("%s is exempt: %+v", raw, got)
		}
	})
}

// A host takes what normalises to its own platform, whatever else is there.
func FuzzPlatform(f *testing.F) {
	f.Add("linux", "x86_64", "", "linux", "amd64", "v1", "", "linux", "386", "")
	f.Add("linux", "arm64", "v9.3", "Linux", "aarch64", "v8.5", "x", "linux", "arm", "v7")
	f.Add("linux", "armhf", "", "", "arm", "7", "", "", "", "")
	f.Fuzz(func(t *testing.T, hostOS, hostArch, hostVariant, os, arch, variant, feature, otherOS, otherArch, otherVariant string) {
		host := image.Platform{OS: hostOS, Architecture: hostArch, Variant: hostVariant}
		child := image.Platform{OS: os, Architecture: arch, Variant: variant, OSFeatures: image.Features(feature)}
		other := image.Platform{OS: otherOS, Architecture: otherArch, Variant: otherVariant}
		if n := child.Normalize(); n != n.Normalize() {
			t.Errorf("%v becomes %v, and then %v", child, n, n.Normalize())
		}
		alone, beside := image.Choose(host, []*image.Platform{&child}), image.Choose(host, []*image.Platform{&child, &other, nil})
		if a, b := host.Normalize(), child.Normalize(); a.OS == b.OS && a.Architecture == b.Architecture && a.Variant == b.Variant && !beside.Takes(child) {
			t.Errorf("%v does not take %v beside %v", host, child, other)
		}
		if beside.Takes(child) && !alone.Takes(child) || alone.Takes(child) && !alone.Meets(child) {
			t.Errorf("%v takes %v beside %v: %t, alone: %t", host, child, other, beside.Takes(child), alone.Takes(child))
		}
		if !beside.TakesUnplaced(child) && (beside.Meets(child) || !beside.Takes(child) && !beside.Takes(other)) {
			t.Errorf("%v passes over a child without a platform, with %v and %v in the index", host, child, other)
		}
	})
}
