package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test's own binary plays Tekton's program, which copies the file it is told to and leaves the copy unreadable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		os.Exit(tektonsInit(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func tektonsInit(args []string) int {
	if len(args) != 4 || strings.Join(args[2:], " ") != "step-a step-b" {
		return 3
	}
	content, err := os.ReadFile(args[0])
	if err != nil {
		return 4
	}
	if err := os.WriteFile(args[1], content, 0o311); err != nil {
		return 5
	}
	return 0
}

// A Step under gVisor starts only what it may read.
func TestInitLeavesAReadableCopyOfTektonsProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "entrypoint")
	if err := run(self, []string{"entrypoint", "init", "/not/what/is/copied", target, "step-a", "step-b"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size() != want.Size() {
		t.Errorf("the copy has %d bytes, Tekton's program has %d", got.Size(), want.Size())
	}
	if got.Mode().Perm() != readable {
		t.Errorf("the copy has mode %o, want %o", got.Mode().Perm(), readable)
	}
}

func TestAFailureOfTektonsProgramIsPassedOn(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "entrypoint")
	err = run(self, []string{"entrypoint", "init", "x", target, "step-unknown"})
	exit := &exec.ExitError{}
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("error is %v, want exit status 3", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the target is there after a failure: %v", err)
	}
}

func TestAProgramThatIsMissingIsNamed(t *testing.T) {
	for _, args := range [][]string{{"entrypoint", "init", "x", "y"}, {"entrypoint", "decode-script", "x"}, {"entrypoint"}} {
		if err := run("/does/not/exist", args); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/does/not/exist") {
			t.Errorf("%v: error is %v, want one that names the program", args, err)
		}
	}
}
