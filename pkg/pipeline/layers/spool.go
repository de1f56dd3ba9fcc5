package layers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool keeps the content of files, one after another, in a file that no longer has a name.
type spool struct {
	file *os.File
	size int64
	max  int64
	// buffer is reused for copying, because there are many small files.
	buffer []byte
}

func newSpool(dir string, limit int64) (*spool, error) {
	f, err := os.CreateTemp(dir, "layers-*")
	if err != nil {
		return nil, fmt.Errorf("keep files of the image: %w", err)
	}
	// Remove the name, so that nothing is left behind if the process is killed.
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // err is the error to return
		return nil, fmt.Errorf("keep files of the image: %w", err)
	}
	return &spool{file: f, max: limit, buffer: make([]byte, 128<<10)}, nil
}

// put keeps the content of r and returns its offset.
func (s *spool) put(r io.Reader, size int64) (int64, error) {
	if size > s.max-s.size {
		return 0, tooLarge("its files have too many bytes", s.max, "--max-kept-bytes")
	}
	n, err := io.CopyBuffer(store{io.NewOffsetWriter(s.file, s.size)}, r, s.buffer)
	if err != nil {
		return 0, err
	}
	if n != size {
		return 0, errors.New("a file is shorter than the layer says")
	}
	at := s.size
	s.size += n
	return at, nil
}

// storeError means that content could not be kept. It says nothing about the image.
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

// contextReader ends a long computation when the context ends.
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
