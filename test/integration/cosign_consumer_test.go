//go:build interop

package integration

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/revet-dev/revet/test/gobuild"
)

// published is the folder with the policy that docs/attestations.md names.
var published = filepath.Join(repository, "docs", "examples", "attestations")

// cosignBuilt builds cosign once for all tests that run it.
var cosignBuilt = sync.OnceValue(func() error {
	source := gobuild.Source{Root: repository, Module: "test/interop"}
	return source.Into(context.Background(), programsDir, "github.com/sigstore/cosign/v3/cmd/cosign")
})

// consumer runs cosign as docs/attestations.md says. It reaches nothing but registries on
// this machine: the documented command asks neither a transparency log nor for trusted roots.
type consumer struct {
	t *testing.T
	// key is the file with the public key that it trusts, and policy its folder.
	key, policy string
}

// documented returns the command that docs/attestations.md names, and its arguments.
func documented(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "docs", "attestations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), "\n```\ncosign ")
	block, _, ok := strings.Cut(after, "\n```\n")
	if !ok {
		t.Fatal("docs/attestations.md names no command of cosign's")
	}
	return strings.Fields(strings.ReplaceAll(block, "\\\n", " "))
}

// newConsumer expects what the published policy does, with other values: pairs of texts in
// expected.rego and what stands in their places.
func newConsumer(t *testing.T, key string, values ...string) consumer {
	t.Helper()
	if err := cosignBuilt(); err != nil {
		t.Fatal(err)
	}
	c := consumer{t: t, key: key, policy: t.TempDir()}
	for file, replaced := range map[string][]string{"verdict.rego": nil, "expected.rego": values} {
		raw, err := os.ReadFile(filepath.Join(published, file))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for pair := range slices.Chunk(replaced, 2) {
			if !strings.Contains(text, pair[0]) {
				t.Fatalf("%s does not hold %s", file, pair[0])
			}
			text = strings.ReplaceAll(text, pair[0], pair[1])
		}
		if err := os.WriteFile(filepath.Join(c.policy, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// verify returns what cosign says against an image; nothing if it accepts it.
func (c consumer) verify(image string) string {
	c.t.Helper()
	args := documented(c.t)
	for of, is := range map[string]string{"revet.pub": c.key, "registry.example.com/team/app@sha256:DIGEST": image} {
		i := slices.Index(args, of)
		if i < 0 {
			c.t.Fatalf("%q does not name %s", args, of)
		}
		args[i] = is
	}
	command := exec.CommandContext(c.t.Context(), filepath.Join(programsDir, "cosign"), args...)
	command.Dir = c.policy
	command.Env = []string{"HOME=" + c.policy, "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"}
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	switch {
	case err == nil && out.Len() > 0:
		return ""
	case errors.As(err, new(*exec.ExitError)) && said.Len() > 0:
		return said.String()
	default:
		c.t.Fatalf("cosign: %v, printed %q and %q", err, out.String(), said.String())
		return ""
	}
}

// accepts checks that cosign accepts an image.
func (c consumer) accepts(what, image string) {
	c.t.Helper()
	if said := c.verify(image); said != "" {
		c.t.Errorf("%s is refused: %s", what, said)
	}
}

// refuses checks that cosign refuses an image for a reason.
func (c consumer) refuses(what, image string, reason *regexp.Regexp) {
	c.t.Helper()
	if said := c.verify(image); !reason.MatchString(said) {
		c.t.Errorf("%s: want a refusal with %q, got %q", what, reason, said)
	}
}

// What cosign says of an image that has no statement, and of one by another key.
var (
	nothingAttached = regexp.MustCompile("(?m)^Error: no matching attestations: $")
	wrongKey        = regexp.MustCompile("could not verify envelope: accepted signatures do not match threshold")
)

// only is what cosign says if the policy has one reason. TIME stands for any time.
func only(reason string) *regexp.Regexp {
	reason = strings.ReplaceAll(regexp.QuoteMeta(reason), "TIME", `[-0-9:TZ]+`)
	return regexp.MustCompile(`expression value, \[` + reason + `\], is not true`)
}
