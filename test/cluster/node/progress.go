package node

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// report is one line of the pipe through which a starting cluster tells the
// waiting Up how it goes.
type report struct {
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
	Ready bool   `json:"ready,omitempty"`
}

// reporter writes reports. Whether anybody listens does not matter to it.
type reporter struct{ encoder *json.Encoder }

func newReporter(w io.Writer) reporter { return reporter{json.NewEncoder(w)} }

// Nobody may be waiting any more; the cluster goes on without.
func (r reporter) send(m report) { _ = r.encoder.Encode(m) }

func (r reporter) say(format string, args ...any) { r.send(report{Text: fmt.Sprintf(format, args...)}) }

// readReports hands texts to say until the cluster is ready.
func readReports(from io.Reader, say func(string)) error {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("decode progress of the cluster: %w", err)
		}
		switch {
		case r.Ready:
			return nil
		case r.Error != "":
			return fmt.Errorf("%s", r.Error)
		default:
			say(r.Text)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read progress of the cluster: %w", err)
	}
	return errEnded
}

// console prints progress lines with the time since its making.
type console struct {
	out   io.Writer
	began time.Time
	mu    sync.Mutex
}

func newConsole(out io.Writer) *console { return &console{out: out, began: time.Now()} }

func (c *console) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "%6.1fs  %s\n", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}
