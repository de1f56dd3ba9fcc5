package gobuild_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/revet-dev/revet/test/gobuild"
)

// Property: a program is linked once for a state of its sources, and what a test took stays
// what it was when the sources change.
func TestAProgramIsLinkedOnceAndKept(t *testing.T) {
	root, folders := t.TempDir(), [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	write(t, filepath.Join(root, "mod", "go.mod"), "module example.com/mod\n\ngo 1.24\n")
	take := func(into, says string) {
		t.Helper()
		write(t, filepath.Join(root, "mod", "cmd", "say", "main.go"), "package main\n\nfunc main() { print(\""+says+"\") }\n")
		s := gobuild.Source{Root: root, Module: "mod", Tags: "some"}
		if err := s.Into(t.Context(), into, "./cmd/say"); err != nil {
			t.Fatal(err)
		}
	}
	take(folders[0], "first")
	take(folders[1], "first")
	if !os.SameFile(stat(t, folders[0]), stat(t, folders[1])) {
		t.Error("the same sources were linked twice")
	}
	take(folders[2], "second")
	for i, want := range []string{"first", "first", "second"} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(folders[i], "say")).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("program %d says %q, %v; want %q", i, out, err, want)
		}
	}
	take(folders[0], "second")
	if !os.SameFile(stat(t, folders[0]), stat(t, folders[2])) {
		t.Error("a folder that had a program kept it")
	}
}

func stat(t *testing.T, dir string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "say"))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
