package vulndb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// Stored describes the compressed parts of a database's file in a directory.
type Stored struct {
	File  File
	Parts []Part
	Dir   string
}

// partPath returns the path of part i.
func partPath(dir string, i int) string { return filepath.Join(dir, "part-"+strconv.Itoa(i)) }

// Compress splits the file at path into a database's parts, and stores them compressed in dir.
func Compress(ctx context.Context, path, dir string) (Stored, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's own file
	if err != nil {
		return Stored{}, fmt.Errorf("compress the database: %w", err)
	}
	defer f.Close()
	out := Stored{Dir: dir}
	whole := sha256.New()
	for {
		p, err := compressPart(ctx, io.TeeReader(io.LimitReader(f, PartSize), whole), partPath(dir, len(out.Parts)))
		if err != nil {
			return Stored{}, fmt.Errorf("compress the database: %w", err)
		}
		if p.Unpacked == 0 {
			break
		}
		out.Parts = append(out.Parts, p)
		if out.File.Size += p.Unpacked; out.File.Size > MaxFile {
			return Stored{}, fmt.Errorf("the database is larger than %d bytes", int64(MaxFile))
		}
	}
	out.File.Digest = digestOf(whole)
	return out, nil
}

// compressPart compresses what it reads from r. It uses one thread and fixed settings, so that the
// same bytes always give the same part.
func compressPart(ctx context.Context, r io.Reader, path string) (_ Part, err error) {
	f, err := os.Create(path) //nolint:gosec // the name is built here
	if err != nil {
		return Part{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &hashed{w: f, sum: sha256.New()}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow))
	if err != nil {
		return Part{}, err
	}
	n, err := io.Copy(z, r)
	if err := errors.Join(err, z.Close(), ctx.Err()); err != nil {
		return Part{}, err
	}
	return Part{Digest: digestOf(w.sum), Size: w.n, Unpacked: n}, nil
}

// hashed hashes and counts the bytes written to it.
type hashed struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

// Write implements io.Writer.
func (h *hashed) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.sum.Write(p[:n])
	h.n += int64(n)
	return n, err
}
