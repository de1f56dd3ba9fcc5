package vulndb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Options say how a database is pulled.
type Options struct {
	// Registry says how its registry is spoken to.
	Registry fetch.Options
	// MaxAge is how old its data may be at Now; 0 for any age. A Now of zero is now.
	MaxAge time.Duration
	Now    time.Time
	// Accept reports an error if the database is of no use, before its file is
	// pulled; nil accepts all.
	Accept func(Config) error
	// Parts is a directory in which the parts are kept as they came, for Push; empty
	// for not at all.
	Parts string
}

// Inspect reads what a database says of itself, without its file. It does not ask how
// old it is.
func Inspect(ctx context.Context, ref Reference, o fetch.Options) (Artifact, error) {
	registry, err := fetch.NewRegistry(ctx, ref.repository, o)
	if err != nil {
		return Artifact{}, about(ctx, ref, err)
	}
	a, err := look(ctx, registry, ref)
	return a, about(ctx, ref, err)
}

// Pull stores the file of the database that ref names by tag or by digest at path,
// where nothing may be, and recomputes all digests on the way. After an error there is
// nothing at path.
func Pull(ctx context.Context, ref Reference, o Options, path string) (Artifact, error) {
	registry, err := fetch.NewRegistry(ctx, ref.repository, o.Registry)
	if err != nil {
		return Artifact{}, about(ctx, ref, err)
	}
	a, err := look(ctx, registry, ref)
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if err == nil {
		err = a.Config.CheckAge(o.MaxAge, o.Now)
	}
	if err == nil && o.Accept != nil {
		err = o.Accept(a.Config)
	}
	if err == nil {
		err = store(ctx, registry, a.Config, o.Parts, path)
	}
	if err != nil {
		return Artifact{}, about(ctx, ref, err)
	}
	return a, nil
}

// Within says which database an error of opening its file is about.
func Within(ctx context.Context, ref Reference, err error) error { return about(ctx, ref, err) }

// look reads manifest and config.
func look(ctx context.Context, registry *fetch.Registry, ref Reference) (Artifact, error) {
	raw, err := manifestOf(ctx, registry, ref)
	if err != nil {
		return Artifact{}, err
	}
	a := Artifact{Digest: sum(raw), Manifest: raw}
	if ref.tag == "" && a.Digest != ref.digest {
		return Artifact{}, oci.Errorf(ReasonTampered, "", "its manifest has the digest %s; %s", a.Digest, cureTampered)
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
	raw, err := io.ReadAll(io.LimitReader(rc, oci.MaxManifest+1))
	switch {
	case err != nil:
		return nil, fetch.Classify("", err)
	case len(raw) > oci.MaxManifest:
		return nil, oci.Errorf(ReasonBroken, "", "its manifest has more than %d bytes; %s", oci.MaxManifest, CureBroken)
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

// store writes the parts to a file, which is gone again if they are not what the
// config names.
func store(ctx context.Context, registry *fetch.Registry, c Config, keep, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the caller's own folder
	if err != nil {
		return fmt.Errorf("store the database: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(path) // the error is what there is to tell
		}
	}()
	whole := sha256.New()
	for i, p := range c.Parts {
		if err := part(ctx, registry, io.MultiWriter(f, whole), keep, i, p); err != nil {
			return err
		}
	}
	return verify("file", c.File.Digest, c.File.Size, digestOf(whole), c.File.Size)
}

// part pulls a part, and unpacks it into w. It is kept in the directory keep.
func part(ctx context.Context, registry *fetch.Registry, w io.Writer, keep string, i int, p Part) (err error) {
	what := partName(i)
	rc, err := registry.Blob(ctx, p.Digest)
	if err != nil {
		return missing(err, what)
	}
	defer rc.Close()
	in := &counted{r: io.LimitReader(rc, p.Size+1), sum: sha256.New()}
	if keep != "" {
		f, err := os.Create(partPath(keep, i))
		if err != nil {
			return fmt.Errorf("store %s of the database: %w", what, err)
		}
		defer f.Close()
		in.r = io.TeeReader(in.r, f)
	}
	unpacked, err := unpack(w, in, p.Unpacked)
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return fmt.Errorf("store %s of the database: %w", what, err) // no space
	}
	// What is left of it tells whether it is the right one, whatever was unpacked.
	if in.err == nil {
		_, _ = io.Copy(io.Discard, in) // in.err says what happened
	}
	switch {
	case in.err != nil:
		return fetch.Classify(what, in.err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if err := verify(what, p.Digest, p.Size, digestOf(in.sum), in.n); err != nil {
		return err
	}
	switch {
	case err != nil:
		return oci.Errorf(ReasonBroken, what, "it cannot be unpacked: %w; %s", err, CureBroken)
	case unpacked != p.Unpacked:
		return oci.Errorf(ReasonBroken, what, "it does not unpack to the %d bytes that the config names; %s", p.Unpacked, CureBroken)
	}
	return nil
}

// unpack writes at most one byte more than most.
func unpack(w io.Writer, r io.Reader, most int64) (int64, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	return io.Copy(w, io.LimitReader(z, most+1))
}

// counted hashes and counts what is read, and remembers why reading failed.
type counted struct {
	r   io.Reader
	sum hash.Hash
	n   int64
	err error
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// verify reports an error unless what came is what was asked for.
func verify(what string, want image.Digest, wantSize int64, got image.Digest, size int64) error {
	switch {
	case size > wantSize:
		return oci.Errorf(ReasonTampered, what, "it has more than the %d bytes that are named; %s", wantSize, cureTampered)
	case size < wantSize:
		return oci.Errorf(ReasonTampered, what, "it has %d bytes instead of %d; %s", size, wantSize, cureTampered)
	case got != want:
		return oci.Errorf(ReasonTampered, what, "it has the digest %s instead of %s; %s", got, want, cureTampered)
	}
	return nil
}

// missing finds out that something is not there: the database, or a part of it.
func missing(err error, what string) error {
	var e *oci.Error
	if !errors.As(err, &e) || e.Reason != oci.ReasonMissing {
		return err
	}
	if what == "" {
		return oci.Errorf(ReasonMissing, "", "there is none; %s (%w)", cureMissing, e.Err)
	}
	return oci.Errorf(ReasonBroken, what, "it is gone from the registry; %s (%w)", CureBroken, e.Err)
}

// about adds which database it is about, and whether time ran out.
func about(ctx context.Context, ref Reference, err error) error {
	if err == nil {
		return nil
	}
	subject := "database " + ref.String()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return oci.Errorf(oci.ReasonTimedOut, subject, "time ran out: %w", err)
	}
	var e *oci.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if e.Subject != "" {
		return oci.Within(err, subject)
	}
	return &oci.Error{Reason: e.Reason, Subject: subject, Err: e.Err}
}
