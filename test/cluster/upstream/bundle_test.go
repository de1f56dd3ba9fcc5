package upstream

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenBundle(t *testing.T) {
	c := component{name: "thing", images: []string{"example.com/cmd/run"}}
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, row := range []struct {
		name, table, wantErr string
	}{
		{name: "a complete table is opened", table: `{"images": {"example.com/cmd/run": "` + digest + `"}}`},
		{name: "a truncated table is damage", table: `{"images": {`, wantErr: "is damaged, delete it"},
		{name: "a digest that is none is damage", table: `{"images": {"example.com/cmd/run": "sha256:12"}}`, wantErr: "is damaged, delete it"},
		{name: "a missing image is damage", table: `{"images": {}}`, wantErr: "is damaged, delete it: it has no example.com/cmd/run"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tableFile), []byte(row.table), 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := openBundle(c, dir)
			if row.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), row.wantErr) {
					t.Fatalf("error is %v, want one that says %q", err, row.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := b.table.Images["example.com/cmd/run"].String(); got != digest {
				t.Errorf("digest is %q, want %q", got, digest)
			}
		})
	}
	if _, err := openBundle(c, filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bundle that is not there gives the error %v, want %v", err, fs.ErrNotExist)
	}
}

func TestCopyManifestsNoticesThatUpstreamMovedAFile(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "deep"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "deep", "a.yaml"), []byte("kind: A\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyManifests(component{module: "example.com/m", files: []string{"deep/*.yaml"}}, from, to); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "deep", "a.yaml")); err != nil || string(got) != "kind: A\n" {
		t.Errorf("the copy is %q, %v", got, err)
	}
	err := copyManifests(component{module: "example.com/m", files: []string{"b.yaml"}}, from, to)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `"b.yaml"`) {
		t.Errorf("a pattern without a file gives the error %v, want one that names it", err)
	}
}

// Two processes must not build the same thing; the second waits and says so.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "thing")
	unlock, err := lock(t.Context(), path, func() { t.Error("the first lock waited") })
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waited := 0
	if _, err := lock(ctx, path, func() { waited++ }); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the second lock gave the error %v, want %v", err, context.DeadlineExceeded)
	}
	if waited != 1 {
		t.Errorf("the second lock said %d times that it waits, want once", waited)
	}

	unlock()
	unlock, err = lock(t.Context(), path, nil)
	if err != nil {
		t.Fatalf("after the first was released: %v", err)
	}
	unlock()
}

func TestEnsureKoTakesTheOneInTheCache(t *testing.T) {
	cache := t.TempDir()
	want := filepath.Join(cache, "bin", "ko-"+koVersion, "ko")
	if err := os.MkdirAll(filepath.Dir(want), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := EnsureKo(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("path is %q, want %q", got, want)
	}
}
