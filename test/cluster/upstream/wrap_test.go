package upstream

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	image, err := wrapWith([]byte("ours"), []byte("theirs"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ko-app/entrypoint": "ours", "ko-app/tekton-entrypoint": "theirs"} {
		got, err := readFile(image, name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, err := readFile(image, "ko-app/other"); err == nil || !strings.Contains(err.Error(), `"ko-app/other"`) {
		t.Errorf("for a file that is not there the error is %v, want one that names it", err)
	}
}

func TestTheWrapperBuilds(t *testing.T) {
	dir, err := findModule(".")
	if err != nil {
		t.Fatal(err)
	}
	program, err := buildWrapper(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(program) == 0 {
		t.Error("the wrapper is empty")
	}
}
