package result_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// part is a digest of a part: 128 bits of one digit.
func part(digit string) string { return strings.Repeat(digit, 32) }

// No two sets of values have the same digest, however they are cut into names and values.
func TestPartOfTellsValuesApart(t *testing.T) {
	seen := map[string]int{}
	for i, values := range []map[string]string{
		nil, {"": ""}, {"a": ""}, {"": "a"}, {"a": "b"}, {"b": "a"}, {"ab": ""}, {"a": "b\n1:c=1:d"}, {"a": "b", "c": "d"}, {"a": "d", "c": "b"},
		{"a": "bc", "": "d"}, {"a": "b\n", "c": "d"}, {"a=1:b": ""},
	} {
		got := result.PartOf(values)
		if before, ok := seen[got]; ok {
			t.Errorf("values %d and %d have the digest %s", before, i, got)
		}
		seen[got] = i
		if err := (result.Parts{"x": got}).Check(); err != nil {
			t.Error(err)
		}
	}
	// The documented form: sha256("1:a=1:b\n1:c=1:d\n"), the first 128 bits.
	if got, want := result.PartOf(map[string]string{"c": "d", "a": "b"}), image.DigestOf([]byte("1:a=1:b\n1:c=1:d\n")).Hex()[:32]; got != want {
		t.Errorf("the digest is %s, want %s", got, want)
	}
}

// The digest over all parts changes with each name and each digest.
func TestPartsDigest(t *testing.T) {
	want := result.JoinParts(map[string]result.Parts{
		"scan": {"policy": part("1"), "steps": part("2")}, "validate": {"rules": part("3"), "steps": part("4")},
		"": {"policy": part("1")},
	})
	steps := result.PartOf(map[string]string{
		"scan": part("2") + " policy steps", "validate": part("4") + " rules steps", "": " policy",
	})
	if diff := cmp.Diff(result.Parts{"policy": part("1"), "rules": part("3"), "steps": steps}, want); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	text := fmt.Sprintf("policy %s\nrules %s\nsteps %s\n", want["policy"], want["rules"], want["steps"])
	if got := want.Digest(); got != image.DigestOf([]byte(text)) {
		t.Errorf("the digest is %s, and not over\n%s", got, text)
	}
	for name := range want {
		other := maps.Clone(want)
		other[name] = part("9")
		less := maps.Clone(want)
		delete(less, name)
		renamed := maps.Clone(less)
		renamed[name+"x"] = want[name]
		for what, p := range map[string]result.Parts{"another digest": other, "no digest": less, "another name": renamed} {
			if p.Digest() == want.Digest() {
				t.Errorf("%s of %s changes nothing", what, name)
			}
		}
	}
}

// Property: the digest says which step decided by what, and not only what was decided by.
func TestPartsBelongToSteps(t *testing.T) {
	type steps = map[string]result.Parts
	a, b, c := part("1"), part("2"), part("3")
	seen := map[string]string{}
	for _, tt := range []struct {
		name string
		all  steps
	}{
		{"two steps with rules of their own", steps{"x": {"rules": a, "steps": c}, "y": {"rules": b, "steps": c}}},
		{"they exchange their rules", steps{"x": {"rules": b, "steps": c}, "y": {"rules": a, "steps": c}}},
		{"one has other names of them", steps{"x": {"rules": a, "steps": c}, "z": {"rules": b, "steps": c}}},
		{"one part of two that only one has", steps{"x": {"rules": a, "keys": b, "steps": c}, "y": {"steps": c}}},
		{"the other step has it", steps{"x": {"rules": a, "steps": c}, "y": {"keys": b, "steps": c}}},
		{"they exchange different parts", steps{"x": {"keys": b, "steps": c}, "y": {"rules": a, "steps": c}}},
		{"two of three agree", steps{"x": {"rules": a}, "y": {"rules": a}, "z": {"rules": b}}},
		{"two others of three agree", steps{"x": {"rules": a}, "y": {"rules": b}, "z": {"rules": b}}},
		{"one step without an image", steps{"x": {"rules": a}}},
		{"another one", steps{"y": {"rules": a}}},
	} {
		got := result.JoinParts(tt.all).Digest().String()
		if before, ok := seen[got]; ok {
			t.Errorf("%s: the digest is the same as of: %s", tt.name, before)
		}
		seen[got] = tt.name
	}
	if got := result.JoinParts(steps{"x": {"rules": a}, "y": {"rules": a}})["rules"]; got != a {
		t.Errorf("the rules on which all agree are %s, want %s", got, a)
	}
	if got := result.JoinParts(nil); len(got) != 0 {
		t.Errorf("nobody decided by %v", got)
	}
}

// What a step does not say, or does not say as it has to, is no part.
func TestPartsFile(t *testing.T) {
	dir, want := t.TempDir(), result.Parts{"rules": part("3")}
	if err := result.WriteParts(dir, "validate", want); err != nil {
		t.Fatal(err)
	}
	got, err := result.ReadParts(dir, "validate")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if _, err := result.ReadParts(dir, "scan"); !errors.Is(err, result.ErrUndecided) {
		t.Errorf("a step that says nothing: %v", err)
	}
	many := result.Parts{}
	for i := range 9 {
		many[fmt.Sprintf("p%d", i)] = part("1")
	}
	for name, p := range map[string]result.Parts{
		"too many": many, "a name that is none": {"Rules": part("1")}, "a long name": {strings.Repeat("a", 21): part("1")},
		"a short digest": {"rules": part("1")[1:]}, "a digest in capitals": {"rules": part("A")},
	} {
		if err := result.WriteParts(dir, "scan", p); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	for text, want := range map[string]string{
		"{}": result.ErrUndecided.Error(), "null": result.ErrUndecided.Error(), `{"rules":"x"}`: "with the digest", `{"rules":1}`: "decode", "": "decode",
	} {
		if err := os.WriteFile(filepath.Join(dir, "decided", "validate.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := result.ReadParts(dir, "validate"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: parts %v, error %v; want %q", text, p, err, want)
		}
	}
	for _, step := range []string{"", "../x", "A"} {
		if err := result.WriteParts(dir, step, want); err == nil {
			t.Errorf("the step %q was written", step)
		}
		if _, err := result.ReadParts(dir, step); err == nil || errors.Is(err, result.ErrUndecided) {
			t.Errorf("the step %q: %v", step, err)
		}
	}
}
