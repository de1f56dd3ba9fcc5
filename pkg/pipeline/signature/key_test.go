package signature

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/sigstore"
)

// All keys of a directory are trusted, several in a file too; other files, such
// as those that Kubernetes adds, are not read.
func TestLoadKeys(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old.pub", string(recorded(t, "ecdsa.pub"))+string(recorded(t, "rsa.pub")))
	write("new.pub", string(recorded(t, "ed25519.pub")))
	write("README", "no key")
	keys, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	if got := strings.Join(names, " "); got != "new old old" {
		t.Errorf("keys are %q", got)
	}
	write("broken.pub", "x")
	if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "broken.pub") {
		t.Errorf("error is %v", err)
	}
	if keys, err := LoadKeys(filepath.Join(dir, "missing")); err != nil || keys != nil {
		t.Errorf("a missing directory gives %v, %v", keys, err)
	}
}

// The digest of the keys changes with the keys, and neither with their order nor with their names.
func TestPart(t *testing.T) {
	keys := func(names ...string) string {
		t.Helper()
		var all []Key
		for i, name := range names {
			parsed, err := sigstore.ParseKeys(strings.Repeat("k", i+1), recorded(t, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, parsed...)
		}
		part, err := Part(all)
		if err != nil {
			t.Fatal(err)
		}
		return part
	}
	both := keys("ecdsa.pub", "rsa.pub")
	if got := keys("rsa.pub", "ecdsa.pub"); got != both {
		t.Errorf("in another order the digest is %s, and not %s", got, both)
	}
	for _, names := range [][]string{nil, {"ecdsa.pub"}, {"rsa.pub"}, {"ecdsa.pub", "ed25519.pub"}} {
		if keys(names...) == both {
			t.Errorf("%q have the digest of others", names)
		}
	}
	if _, err := Part([]Key{{Name: "none"}}); err == nil {
		t.Error("the zero value has a digest")
	}
}
