package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// spool keeps the content of files, one after another in a file that has no name
// any more.
type spool struct {
	file *os.File
	size int64
	max  int64
}

func newSpool(dir string, limit int64) (*spool, error) {
	f, err := os.CreateTemp(dir, "rootfs-*")
	if err != nil {
		return nil, fmt.Errorf("keep files of the image: %w", err)
	}
	// So that nothing is left behind after a kill.
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // err says what went wrong
		return nil, fmt.Errorf("keep files of the image: %w", err)
	}
	return &spool{file: f, max: limit}, nil
}

// put keeps what r holds, if it holds mark or mark is empty.
func (s *spool) put(ctx context.Context, r io.Reader, size int64, mark []byte) (kept bool, err error) {
	if size > s.max-s.size {
		return false, tooLarge("its files that name packages have too many bytes", s.max, "--max-kept-bytes")
	}
	find := &finder{mark: mark, found: len(mark) == 0}
	out := store{io.NewOffsetWriter(s.file, s.size)}
	n, err := io.Copy(io.MultiWriter(out, find), contextReader{ctx, r})
	if err != nil {
		return false, err
	}
	if n != size {
		return false, errors.New("it is shorter than the layer says")
	}
	if find.found {
		s.size += n
	}
	return find.found, nil
}

// storeError is of what could not be kept: it says nothing about the image.
type storeError struct{ err error }

// Error implements error.
func (e *storeError) Error() string {
	return fmt.Sprintf("keep files of the image: %v; is the directory for temporary files large enough?", e.err)
}

// Unwrap returns the cause.
func (e *storeError) Unwrap() error { return e.err }

type store struct{ w io.Writer }

func (s store) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		err = &storeError{err}
	}
	return n, err
}

// finder looks for mark in what is written to it.
type finder struct {
	mark  []byte
	tail  []byte
	found bool
}

func (f *finder) Write(p []byte) (int, error) {
	if f.found {
		return len(p), nil
	}
	// The mark may lie across two writes: look at the seam, then at the rest.
	seam := slices.Concat(f.tail, p[:min(len(p), len(f.mark)-1)])
	if bytes.Contains(seam, f.mark) || bytes.Contains(p, f.mark) {
		f.found = true
		return len(p), nil
	}
	if keep := len(f.mark) - 1; len(p) >= keep {
		f.tail = append(f.tail[:0], p[len(p)-keep:]...)
	} else {
		f.tail = append(f.tail[:0], seam[max(0, len(seam)-keep):]...)
	}
	return len(p), nil
}

// contextReader ends a long copy when its time is up.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
