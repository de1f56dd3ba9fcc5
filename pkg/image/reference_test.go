package image_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
)

func TestParseRepository(t *testing.T) {
	for _, test := range []struct {
		name, in   string
		host, path string // both empty: refused
	}{
		{"host and path", "quay.example/team/app", "quay.example", "team/app"},
		{"a port", "localhost:5001/demo/app", "localhost:5001", "demo/app"},
		{"OpenShift's registry", "image-registry.openshift-image-registry.svc:5000/demo/app", "image-registry.openshift-image-registry.svc:5000", "demo/app"},
		{"separators in the path", "h/a.b_c__d--e/f", "h", "a.b_c__d--e/f"},
		{"nothing", "", "", ""},
		{"no path", "quay.example", "", ""},
		{"an empty path", "quay.example/", "", ""},
		{"an empty host", "/team/app", "", ""},
		{"a scheme", "https://quay.example/team/app", "", ""},
		{"user information", "me@quay.example/team/app", "", ""},
		{"a tag", "quay.example/team/app:v1", "", ""},
		{"upper case in the path", "quay.example/Team/app", "", ""},
		{"an empty segment", "quay.example/team//app", "", ""},
		{"a dot segment", "quay.example/team/../app", "", ""},
		{"a query", "quay.example/team/app?x=1", "", ""},
		{"a long path", "quay.example/" + strings.Repeat("a", 256), "", ""},
		{"a shell expression", "quay.example/$(id)", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := image.ParseRepository(test.in)
			if (err == nil) != (test.path != "") {
				t.Fatalf("ParseRepository(%q): error %v", test.in, err)
			}
			if r.Host() != test.host || r.Path() != test.path || r.IsZero() != (test.path == "") {
				t.Errorf("got host %q and path %q, want %q and %q", r.Host(), r.Path(), test.host, test.path)
			}
			if err == nil && r.String() != test.in {
				t.Errorf("String is %q, want %q", r.String(), test.in)
			}
		})
	}
}

func TestParseReferenceWantsADigestAndNoTag(t *testing.T) {
	good := "quay.example/team/app@sha256:" + hexA
	r, err := image.ParseReference(good)
	if err != nil {
		t.Fatal(err)
	}
	if r.String() != good || r.Repository().At(r.Digest()) != r || r.IsZero() {
		t.Errorf("got %q, want %q", r, good)
	}
	for _, bad := range []string{
		"", "quay.example/team/app", "quay.example/team/app:v1", "quay.example/team/app:v1@sha256:" + hexA,
		"quay.example/team/app@sha256:00", "@sha256:" + hexA, good + "@sha256:" + hexA,
	} {
		if r, err := image.ParseReference(bad); err == nil || !r.IsZero() {
			t.Errorf("ParseReference(%q) is %v, want an error", bad, r)
		}
	}
	if (image.Reference{}).String() != "" {
		t.Error("the zero Reference prints something")
	}
}

func TestValidTag(t *testing.T) {
	for tag, want := range map[string]bool{
		"latest": true, "v1.2.3-rc_1": true, "_x": true, strings.Repeat("a", 128): true,
		"": false, strings.Repeat("a", 129): false, ".x": false, "-x": false, "a b": false, "a/b": false,
		"$(id)": false, `x"`: false, "x'": false, "x\n": false, "é": false,
	} {
		if got := image.ValidTag(tag); got != want {
			t.Errorf("ValidTag(%q) is %t, want %t", tag, got, want)
		}
	}
}

const hexA = "cb61bde6eb638a6d78d99d05c1c7d0a5939d3d297dcd6998a495cf5d191bad24"

func TestParseDigestAcceptsOnlyCanonicalSHA256(t *testing.T) {
	for _, test := range []struct {
		name, in string
		ok       bool
	}{
		{"64 lower-case digits", "sha256:" + hexA, true},
		{"nothing", "", false},
		{"no algorithm", hexA, false},
		{"another algorithm", "sha512:" + hexA + hexA, false},
		{"upper-case digits", "sha256:" + strings.ToUpper(hexA), false},
		{"too short", "sha256:" + hexA[:63], false},
		{"too long", "sha256:" + hexA + "0", false},
		{"not hexadecimal", "sha256:" + hexA[:63] + "g", false},
		{"a path in disguise", "sha256:../../" + hexA[:58], false},
		{"white space after it", "sha256:" + hexA + "\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := image.ParseDigest(test.in)
			if (err == nil) != test.ok {
				t.Fatalf("ParseDigest(%q): error %v, want accepted: %t", test.in, err, test.ok)
			}
			if d.IsZero() == test.ok {
				t.Errorf("IsZero is %t", d.IsZero())
			}
			if test.ok && d.String() != test.in {
				t.Errorf("String is %q, want %q", d.String(), test.in)
			}
		})
	}
}

// A hostile value must not fill the log that its error goes to.
func TestDigestErrorsAreBounded(t *testing.T) {
	for _, in := range []string{strings.Repeat("x", 1<<20), "sha256:" + strings.Repeat("x", 1<<20)} {
		if _, err := image.ParseDigest(in); err == nil || len(err.Error()) > 300 {
			t.Errorf("the error is missing, or longer than 300 bytes")
		}
	}
}

func TestDigestTravelsThroughJSON(t *testing.T) {
	type wire struct {
		Digest image.Digest `json:"digest"`
	}
	d, err := image.ParseDigest("sha256:" + hexA)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(wire{d})
	if err != nil {
		t.Fatal(err)
	}
	var back wire
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Digest != d || back.Digest.Hex() != hexA {
		t.Errorf("got %v back, want %v", back.Digest, d)
	}
	if err := json.Unmarshal([]byte(`{"digest":"sha256:00"}`), &back); err == nil {
		t.Error("a digest that is none was accepted from JSON")
	}
}
