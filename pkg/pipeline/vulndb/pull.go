package vulndb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// Inspect reads what a database says of itself, without its layers. It does not
// ask how old it is.
func Inspect(ctx context.Context, ref Reference, o fetch.Options) (Artifact, error) {
	registry, err := fetch.NewRegistry(ctx, ref.repository, o)
	if err != nil {
		return Artifact{}, err
	}
	a, err := look(ctx, registry, ref)
	return a, about(ctx, ref, err)
}

// look reads manifest and config.
func look(ctx context.Context, registry *fetch.Registry, ref Reference) (Artifact, error) {
	raw, err := manifestOf(ctx, registry, ref)
	if err != nil {
		return Artifact{}, err
	}
	a := Artifact{Digest: sum(raw), Manifest: raw}
	if ref.tag == "" && a.Digest != ref.digest {
		return Artifact{}, content.Errorf(ReasonTampered, "", "its manifest has the digest %s; %s", a.Digest, cureTampered)
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return Artifact{}, err
	}
	if a.RawConfig, err = blob(ctx, registry, "config", m.Config.Digest, m.Config.Size); err != nil {
		return Artifact{}, err
	}
	if a.Config, err = decodeConfig(a.RawConfig); err != nil {
		return Artifact{}, err
	}
	return a, m.fits(a.Config)
}

func manifestOf(ctx context.Context, registry *fetch.Registry, ref Reference) ([]byte, error) {
	var rc io.ReadCloser
	var err error
	if ref.tag != "" {
		rc, err = registry.Tagged(ctx, ref.tag)
	} else {
		rc, err = registry.Manifest(ctx, ref.digest)
	}
	if err != nil {
		return nil, missing(err, "")
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, content.MaxManifest+1))
	switch {
	case err != nil:
		return nil, fetch.Classify("", err)
	case len(raw) > content.MaxManifest:
		return nil, content.Errorf(ReasonBroken, "", "its manifest has more than %d bytes; %s", content.MaxManifest, cureBroken)
	}
	return raw, nil
}

// blob reads a small blob.
func blob(ctx context.Context, registry *fetch.Registry, what string, d image.Digest, size int64) ([]byte, error) {
	rc, err := registry.Blob(ctx, d)
	if err != nil {
		return nil, missing(err, what)
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, size+1))
	if err != nil {
		return nil, fetch.Classify(what, err)
	}
	return raw, verify(what, d, size, sum(raw), int64(len(raw)))
}

// download stores a layer in a file in dir, which is removed from its folder at
// once, and is gone with the file.
func download(ctx context.Context, registry *fetch.Registry, dir string, e Ecosystem) (*os.File, error) {
	what := "ecosystem " + e.Name
	rc, err := registry.Blob(ctx, e.Digest)
	if err != nil {
		return nil, missing(err, what)
	}
	defer rc.Close()
	f, err := temporary(dir)
	if err != nil {
		return nil, err
	}
	err = fill(f, rc, what, e.Digest, e.Size)
	if err != nil {
		_ = f.Close() // the error is what there is to tell
		return nil, err
	}
	return f, nil
}

// fill stores what comes in f, and reports an error unless it is what was asked for.
func fill(f *os.File, rc io.Reader, what string, want image.Digest, size int64) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(rc, size+1))
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return fmt.Errorf("store %s of the database: %w", what, err) // no space
	}
	if err != nil {
		return fetch.Classify(what, err)
	}
	got, err := image.ParseDigest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	if err != nil {
		return err
	}
	return verify(what, want, size, got, n)
}

func temporary(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "revet-database-")
	if err != nil {
		return nil, fmt.Errorf("store the database: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // the error is what there is to tell
		return nil, fmt.Errorf("store the database: %w", err)
	}
	return f, nil
}

// verify reports an error unless what came is what was asked for.
func verify(what string, want image.Digest, wantSize int64, got image.Digest, size int64) error {
	switch {
	case size > wantSize:
		return content.Errorf(ReasonTampered, what, "it has more than the %d bytes that are named; %s", wantSize, cureTampered)
	case size < wantSize:
		return content.Errorf(ReasonTampered, what, "it has %d bytes instead of %d; %s", size, wantSize, cureTampered)
	case got != want:
		return content.Errorf(ReasonTampered, what, "it has the digest %s instead of %s; %s", got, want, cureTampered)
	}
	return nil
}

// missing finds out that something is not there: the database, or a part of it.
func missing(err error, what string) error {
	var e *content.Error
	if !errors.As(err, &e) || e.Reason != content.ReasonMissing {
		return err
	}
	if what == "" {
		return content.Errorf(ReasonMissing, "", "there is none; %s (%w)", cureMissing, e.Err)
	}
	return content.Errorf(ReasonBroken, what, "it is gone from the registry; %s (%w)", cureBroken, e.Err)
}

// broken is of a layer that contradicts itself, or the config.
func broken(ecosystem string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return content.Errorf(ReasonBroken, "ecosystem "+ecosystem, "%w; %s", err, cureBroken)
}

// about adds which database it is about, and whether time ran out.
func about(ctx context.Context, ref Reference, err error) error {
	if err == nil {
		return nil
	}
	subject := "database " + ref.String()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return content.Errorf(content.ReasonTimedOut, subject, "time ran out: %w", err)
	}
	var e *content.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if e.Subject != "" {
		return content.Within(err, subject)
	}
	return &content.Error{Reason: e.Reason, Subject: subject, Err: e.Err}
}
