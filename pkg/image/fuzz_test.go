package image_test

import (
	"encoding/json"
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

// A name alone never exempts an image: what has a layer of a root file system
// and declares a platform runs, whatever it is called; and what a tag changes,
// it changes only for what declares nothing.
func FuzzRunnability(f *testing.F) {
	f.Add("sha256-"+hexA+".sig", tarGzip, signing, "amd64", true)
	f.Add("latest", signing, inToto, "", false)
	f.Add("sha256-"+hexA+".att", tarGzip, tarGzip, "unknown", false)
	f.Fuzz(func(t *testing.T, tag, layer, other, architecture string, command bool) {
		c := image.Content{Kind: image.ContentImage, Architecture: architecture, Command: command, LayerTypes: []string{layer, other}}
		declares := command || (architecture != "" && architecture != "unknown")
		rootFS := image.IsRootFSLayer(layer) || image.IsRootFSLayer(other)
		got := c.Runnable(tag)
		switch {
		case declares && !got:
			t.Errorf("%+v under %q cannot run: %s", c, tag, c.Runnability(tag))
		case !declares && !rootFS && got:
			t.Errorf("%+v under %q can run: %s", c, tag, c.Runnability(tag))
		case !declares && rootFS && !got && !strings.HasPrefix(tag, "sha256-"):
			t.Errorf("%+v is exempt by the tag %q", c, tag)
		}
		index := image.Content{Kind: image.ContentIndex, Children: []image.Content{c, {}}}
		if !index.Runnable(tag) {
			t.Errorf("an index with a child that was not read cannot run")
		}
		if one := (image.Content{Kind: image.ContentIndex, Children: []image.Content{c}}); one.Runnable(tag) != got {
			t.Errorf("an index of one child runs: %t, the child: %t", one.Runnable(tag), got)
		}
	})
}
