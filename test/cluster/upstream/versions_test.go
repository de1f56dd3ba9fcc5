package upstream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	testMod = `module example.com/m

go 1.26.0

require (
	example.com/plain v1.0.0
	example.com/other v1.2.0 // indirect
)

replace example.com/other => example.com/fork v1.3.0
`
	testSum = `example.com/plain v1.0.0 h1:plain=
example.com/plain v1.0.0/go.mod h1:not-this-one=
example.com/fork v1.3.0 h1:fork=
`
)

func TestParseVersions(t *testing.T) {
	got, err := parseVersions([]byte(testMod), []byte(testSum))
	if err != nil {
		t.Fatal(err)
	}
	want := versions{
		"example.com/plain": "example.com/plain v1.0.0 h1:plain=",
		"example.com/other": "example.com/fork v1.3.0 h1:fork=",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestKey(t *testing.T) {
	c := component{name: "thing", module: "example.com/thing", files: []string{"*.yaml"}, images: []string{"example.com/thing/cmd/run"}}
	usual := func() versions {
		vs := versions{"example.com/thing": "example.com/thing v1 h1:a", "example.com/unrelated": "example.com/unrelated v1 h1:b"}
		for _, m := range shaping() {
			vs[m] = m + " v1 h1:c"
		}
		return vs
	}
	key, err := usual().key(c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(key, "thing-") {
		t.Errorf("the key %q does not begin with the component's name", key)
	}

	for _, row := range []struct {
		name   string
		change func(versions, *component)
		same   bool
	}{
		{name: "the same versions give the same key", change: func(versions, *component) {}, same: true},
		{name: "a module that does not shape the component changes nothing", same: true,
			change: func(vs versions, _ *component) { vs["example.com/unrelated"] = "example.com/unrelated v2 h1:d" }},
		{name: "the component's own version changes the key",
			change: func(vs versions, _ *component) { vs["example.com/thing"] = "example.com/thing v2 h1:d" }},
		{name: "another content under the same version changes the key",
			change: func(vs versions, _ *component) { vs["example.com/thing"] = "example.com/thing v1 h1:d" }},
		{name: "a client library's version changes the key",
			change: func(vs versions, _ *component) { vs["k8s.io/client-go"] = "k8s.io/client-go v2 h1:d" }},
		{name: "a further image changes the key",
			change: func(_ versions, c *component) { c.images = append(c.images[:1:1], "example.com/thing/cmd/more") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			vs, changed := usual(), c
			row.change(vs, &changed)
			got, err := vs.key(changed)
			if err != nil {
				t.Fatal(err)
			}
			if (got == key) != row.same {
				t.Errorf("key is %q, it was %q, want the same: %t", got, key, row.same)
			}
		})
	}

	vs := usual()
	delete(vs, "example.com/thing")
	if _, err := vs.key(c); err == nil || !strings.Contains(err.Error(), "does not require example.com/thing") {
		t.Errorf("without the component's module the error is %v, want one that names it", err)
	}
}

func TestEveryComponentHasAKeyAndAProbe(t *testing.T) {
	dir, err := findModule(".")
	if err != nil {
		t.Fatal(err)
	}
	vs, err := readVersions(dir)
	if err != nil {
		t.Fatal(err)
	}
	cs, err := components(Full)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		if _, err := vs.key(c); err != nil {
			t.Error(err)
		}
		if _, err := c.probe(); err != nil {
			t.Error(err)
		}
	}
	if _, err := components("tiny"); err == nil || !strings.Contains(err.Error(), `"tiny"`) {
		t.Errorf("an unknown profile gives the error %v, want one that names it", err)
	}
}

func TestFindModule(t *testing.T) {
	root := t.TempDir()
	write := func(path, content string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("clone/go.mod", "module github.com/revet-dev/revet\n")
	write("clone/test/go.mod", "module "+testModule+"\n")
	write("clone/test/cluster/upstream/doc.go", "package upstream\n")
	write("clone/config/x.yaml", "")
	write("elsewhere/x", "")

	for _, row := range []struct{ name, from string }{
		{"from the repository's root", "clone"},
		{"from a folder of the product", "clone/config"},
		{"from the test module", "clone/test"},
		{"from deep below the test module", "clone/test/cluster/upstream"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := findModule(filepath.Join(root, row.from))
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(root, "clone/test"); got != want {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
	if _, err := findModule(filepath.Join(root, "elsewhere")); err == nil || !strings.Contains(err.Error(), "inside a clone") {
		t.Errorf("outside of a clone the error is %v, want one that says what to do", err)
	}
}
