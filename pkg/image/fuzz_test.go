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
