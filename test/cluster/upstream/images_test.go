package upstream

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestReplaceImages(t *testing.T) {
	c := component{name: "thing", empty: []string{"outside.example/shell", "ko://example.com/cmd/proxy"}}
	refs := references{"": "registry/base@sha256:0", "example.com/cmd/run": "registry/run@sha256:1"}
	for _, row := range []struct {
		name    string
		in      any
		want    any
		wantErr string
	}{
		{
			name: "a ko reference in a field, in an argument and in a variable becomes what was built",
			in: map[string]any{
				"image": "ko://example.com/cmd/run",
				"args":  []any{"-image", "ko://example.com/cmd/run"},
				"env":   []any{map[string]any{"name": "IMAGE", "value": "ko://example.com/cmd/run"}},
			},
			want: map[string]any{
				"image": "registry/run@sha256:1",
				"args":  []any{"-image", "registry/run@sha256:1"},
				"env":   []any{map[string]any{"name": "IMAGE", "value": "registry/run@sha256:1"}},
			},
		},
		{
			name: "an image that is never started becomes the empty one, whatever its tag and digest",
			in:   []any{"outside.example/shell", "outside.example/shell:1", "outside.example/shell@sha256:2", "ko://example.com/cmd/proxy"},
			want: []any{"registry/base@sha256:0", "registry/base@sha256:0", "registry/base@sha256:0", "registry/base@sha256:0"},
		},
		{
			name: "an image whose name merely begins alike stays",
			in:   "outside.example/shellfish:1",
			want: "outside.example/shellfish:1",
		},
		{
			name: "other values keep their types",
			in:   map[string]any{"replicas": int64(1), "on": true, "none": nil, "ratio": 0.5, "text": "see ko://example.com/cmd/run"},
			want: map[string]any{"replicas": int64(1), "on": true, "none": nil, "ratio": 0.5, "text": "see ko://example.com/cmd/run"},
		},
		{
			name:    "a ko reference that nobody builds is refused, because its Pod could not start",
			in:      []any{map[string]any{"image": "ko://example.com/cmd/new"}},
			wantErr: `"ko://example.com/cmd/new", which is not built`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := c.replaceImages(row.in, refs)
			if row.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), row.wantErr) {
					t.Fatalf("error is %v, want one that says %q", err, row.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Images are pushed by digest only, since a tag would look like somebody's push, and only once.
func TestPush(t *testing.T) {
	var uploads atomic.Int64
	inner := quietRegistry()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut || r.Method == http.MethodPost {
			uploads.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	const path = "example.com/Cmd/run"
	b, digest := testBundle(t, path)
	refs, err := b.push(t.Context(), host, "base")
	if err != nil {
		t.Fatal(err)
	}
	want := references{"": "base", path: host + "/upstream/example.com/cmd/run@" + digest.String()}
	if diff := cmp.Diff(want, refs); diff != "" {
		t.Errorf("references -want +got:\n%s", diff)
	}

	pushed, err := name.NewDigest(refs[path])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Image(pushed); err != nil {
		t.Errorf("the image cannot be pulled: %v", err)
	}
	tags, err := remote.List(pushed.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if !strings.HasPrefix(tag, "sha256:") { // the registry in use lists digests as tags
			t.Errorf("the push left the tag %q", tag)
		}
	}

	before := uploads.Load()
	if before == 0 {
		t.Fatal("the first push was not counted")
	}
	if _, err := b.push(t.Context(), host, "base"); err != nil {
		t.Fatal(err)
	}
	if more := uploads.Load() - before; more != 0 {
		t.Errorf("the second push made %d uploads, want none", more)
	}
}

func quietRegistry() http.Handler {
	return registry.New(registry.Logger(log.New(io.Discard, "", 0)))
}

// testBundle returns a bundle with one image of random content.
func testBundle(t *testing.T, importPath string) (bundle, v1.Hash) {
	t.Helper()
	dir := t.TempDir()
	image, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	return bundle{
		component: component{name: "thing", images: []string{importPath}},
		dir:       dir,
		table:     bundleTable{Images: map[string]v1.Hash{importPath: digest}},
	}, digest
}
