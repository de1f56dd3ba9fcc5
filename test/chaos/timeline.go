package chaos

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// timeline is the file that tells what happened, in the order in which it was seen.
type timeline struct {
	dir   string
	began time.Time

	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
}

func newTimeline(dir string) (*timeline, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the folder of the timeline: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, "timeline.txt"))
	if err != nil {
		return nil, fmt.Errorf("making the timeline: %w", err)
	}
	return &timeline{dir: dir, began: time.Now(), file: file, out: bufio.NewWriter(file)}, nil
}

// note writes a line. What is of one sort can be found by its first word.
func (t *timeline) note(what, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	// It is for reading: a line that cannot be written is no reason to end the run.
	_, _ = fmt.Fprintf(t.out, "%s %9.3f  %-7s %s\n", now.UTC().Format("15:04:05.000"), now.Sub(t.began).Seconds(), what, fmt.Sprintf(format, args...))
}

// begin sets the zero of the times.
func (t *timeline) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = time.Now()
}

func (t *timeline) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.out.Flush(); err != nil {
		return err
	}
	return t.file.Close()
}
