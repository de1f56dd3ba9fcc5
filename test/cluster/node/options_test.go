package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkout makes a directory that looks like a checkout.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"test/go.mod", "test/cluster/node/doc.go"} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAClusterIsNamedByItsCheckoutAndName(t *testing.T) {
	one, two := checkout(t), checkout(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	id := func(o Options) string {
		o.Cache = t.TempDir()
		o, err := o.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		return o.id()
	}
	for _, row := range []struct {
		name string
		a, b Options
		same bool
	}{
		{"the same checkout is the same cluster", Options{Root: one}, Options{Root: one}, true},
		{"another checkout is another cluster", Options{Root: one}, Options{Root: two}, false},
		{"a symbolic link to a checkout is the same cluster", Options{Root: one}, Options{Root: link}, true},
		{"another name is another cluster", Options{Root: one}, Options{Root: one, Name: "demo"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if a, b := id(row.a), id(row.b); (a == b) != row.same {
				t.Errorf("ids %q and %q, want the same: %t", a, b, row.same)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	root := checkout(t)
	for _, row := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"a checkout and a cache suffice", Options{Root: root, Cache: "/c"}, true},
		{"no checkout is refused", Options{Cache: "/c"}, false},
		{"no cache is refused", Options{Root: root}, false},
		{"a directory that is no checkout is refused", Options{Root: t.TempDir(), Cache: "/c"}, false},
		{"a directory that is missing is refused", Options{Root: filepath.Join(root, "none"), Cache: "/c"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := row.o.withDefaults(); (err == nil) != row.ok {
				t.Errorf("error %v, want none: %t", err, row.ok)
			}
		})
	}
}

func TestTheCacheIsWhereTheEnvironmentSays(t *testing.T) {
	for _, row := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"its own variable wins", map[string]string{"REVET_CACHE": "/r", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/r"},
		{"then the user's cache directory", map[string]string{"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/revet"},
		{"then the home directory", map[string]string{"HOME": "/h"}, "/h/.cache/revet"},
		{"without any there is none", nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := CacheDir(func(name string) string { return row.env[name] })
			if got != row.want || (err == nil) != (row.want != "") {
				t.Errorf("got %q and error %v, want %q", got, err, row.want)
			}
		})
	}
}

func TestTheCheckoutIsFoundFromWithin(t *testing.T) {
	root := checkout(t)
	got, err := FindRoot(filepath.Join(root, "test", "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(root, got); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	if _, err := FindRoot(t.TempDir()); err == nil {
		t.Error("a root was found outside of a checkout")
	}
}
