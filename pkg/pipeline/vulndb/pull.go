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

// Options configure Pull.
type Options struct {
	// Registry configures how to talk to the registry.
	Registry fetch.Options
	// MaxAge limits the age of the data at Now; 0 accepts any age. A zero Now means the current
	// time.
	MaxAge time.Duration
	Now    time.Time
	// Accept may reject a database before Pull downloads its file, by returning an error. Nil
	// accepts every database.
	Accept func(Config) error
	// Parts is a directory in which Pull keeps the parts as it received them, for Push. If it is
	// empty, Pull does not keep them.
	Parts string
}

// Inspect reads a database's description of itself, without its file. It does not check the age.
func Inspect(ctx context.Context, ref Reference, o fetch.Options) (Artifact, error) {
	registry, err := fetch.NewRegistry(ctx, ref.repository, o)
	if err != nil {
		return Artifact{}, about(ctx, ref, err)
	}
	a, err := look(ctx, registry, ref)
	return a, about(ctx, ref, err)
}

// Pull downloads the file of the database that ref names, and verifies all digests on the way. It
// stores the file at path, which must not exist yet. After an error, nothing is left at path.
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

// Within adds to an error of opening a database's file which database it is.
func Within(ctx context.Context, ref Reference, err error) error { return about(ctx, ref, err) }

// look reads the manifest and the config.
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
		return nil, oci.Errorf(ReasonBroken, "", "its manifest is larger than %d bytes; %s", oci.MaxManifest, CureBroken)
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

// store writes the parts to a file, and removes the file if it does not match the config.
func store(ctx context.Context, registry *fetch.Registry, c Config, keep, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the caller owns the folder
	if err != nil {
		return fmt.Errorf("store the database: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(path) // the first error matters more
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

// part downloads a part and unpacks it into w. It keeps the part in the directory keep.
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
		return fmt.Errorf("store %s of the database: %w", what, err) // no space left
	}
	// Read the rest as well: its digest decides whether this is the right part, whatever it
	// unpacked to.
	if in.err == nil {
		_, _ = io.Copy(io.Discard, in) // in.err holds the error
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
		return oci.Errorf(ReasonBroken, what, "cannot unpack it: %w; %s", err, CureBroken)
	case unpacked != p.Unpacked:
		return oci.Errorf(ReasonBroken, what, "it does not unpack to the %d bytes that the config gives; %s", p.Unpacked, CureBroken)
	}
	return nil
}

// unpack writes at most most+1 bytes, so the caller can tell that the limit was exceeded.
func unpack(w io.Writer, r io.Reader, most int64) (int64, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	return io.Copy(w, io.LimitReader(z, most+1))
}

// counted hashes and counts the bytes read, and keeps the error if reading failed.
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

// verify returns an error unless digest and size are the expected ones.
func verify(what string, want image.Digest, wantSize int64, got image.Digest, size int64) error {
	switch {
	case size > wantSize:
		return oci.Errorf(ReasonTampered, what, "it has more than the expected %d bytes; %s", wantSize, cureTampered)
	case size < wantSize:
		return oci.Errorf(ReasonTampered, what, "it has %d bytes instead of %d; %s", size, wantSize, cureTampered)
	case got != want:
		return oci.Errorf(ReasonTampered, what, "it has the digest %s instead of %s; %s", got, want, cureTampered)
	}
	return nil
}

// missing tells a missing database from a missing part of one.
func missing(err error, what string) error {
	var e *oci.Error
	if !errors.As(err, &e) || e.Reason != oci.ReasonMissing {
		return err
	}
	if what == "" {
		return oci.Errorf(ReasonMissing, "", "the registry has none; %s (%w)", cureMissing, e.Err)
	}
	return oci.Errorf(ReasonBroken, what, "the registry no longer has it; %s (%w)", CureBroken, e.Err)
}

// about adds to err which database it is about, and whether time ran out.
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
