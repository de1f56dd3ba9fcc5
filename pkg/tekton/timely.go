package tekton

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// errTooLate means that a request was not written because its deadline had passed. It
// certainly did not arrive.
var errTooLate = errors.New("the deadline for sending it has passed")

// timely checks the clock again just before a request's last bytes go to its connection.
// A context is not enough: when a stopped process continues, its timer fires some time
// later, and the process may write a pending request first.
type timely struct {
	deadline time.Time
	late     atomic.Bool
}

func newTimely(ctx context.Context) *timely {
	deadline, _ := ctx.Deadline()
	return &timely{deadline: deadline}
}

func (t *timely) check() error {
	if t.deadline.IsZero() || time.Now().Before(t.deadline) {
		return nil
	}
	t.late.Store(true)
	return errTooLate
}

// guard makes a late request fail.
func (t *timely) guard(req *http.Request) error {
	if err := t.check(); err != nil {
		return err
	}
	if req.Body == nil || req.GetBody == nil {
		return fmt.Errorf("a request to %q has no body that can be read again", req.URL.Host)
	}
	again := req.GetBody
	req.Body = &timelyBody{req.Body, t}
	req.GetBody = func() (io.ReadCloser, error) {
		body, err := again()
		if err != nil {
			return nil, err
		}
		return &timelyBody{body, t}, nil
	}
	return nil
}

// timelyBody is a body that cannot be read late. A server ignores a request whose body is
// incomplete.
type timelyBody struct {
	io.ReadCloser
	timely *timely
}

func (b *timelyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n == 0 {
		return n, err // the end: everything may have been sent already
	}
	if late := b.timely.check(); late != nil {
		return 0, late
	}
	return n, err
}

// dialUnlingering makes connections that drop unsent data when they are closed. Otherwise
// the kernel would keep trying to send an abandoned request for many minutes.
func dialUnlingering(d *net.Dialer) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok && err == nil {
			err = tcp.SetLinger(0)
			if err != nil {
				return nil, errors.Join(err, c.Close())
			}
		}
		return c, err
	}
}
