package image_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
)

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
