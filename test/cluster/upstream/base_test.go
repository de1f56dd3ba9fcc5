package upstream

import (
	"archive/tar"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestPushBase(t *testing.T) {
	server := httptest.NewServer(quietRegistry())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	first, err := PushBase(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	// ko caches by the base's digest, and so do nodes.
	second, err := PushBase(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("two builds of the base image differ: %s and %s", first, second)
	}

	reference, err := name.NewDigest(first)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(reference)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := config.Config.User, "65532:65532"; got != want {
		t.Errorf("user is %q, want %q", got, want)
	}

	got := map[string]int64{}
	content := mutate.Extract(image)
	defer content.Close()
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimSuffix(header.Name, "/")] = header.Mode
	}
	want := map[string]int64{"etc": 0o755, "etc/passwd": 0o644, "etc/group": 0o644, "tmp": 0o1777}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files and modes, -want +got:\n%s", diff)
	}
}
