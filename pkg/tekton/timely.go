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

// errTooLate is why a request was not written: its deadline passed before. It
// certainly did not arrive.
var errTooLate = errors.New("the time in which it may be sent is over")

// timely looks at the clock again as a request's last bytes are handed to its
// connection. A context does not do: its timer fires some time after a process
// that was stopped goes on, and a request that was about to be written is then
// written first.
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

// guard makes a request fail that is late.
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

// timelyBody is a body that cannot be read late. A request whose body is not
// complete is no request to who reads it.
type timelyBody struct {
	io.ReadCloser
	timely *timely
}

func (b *timelyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n == 0 {
		return n, err // the end: all of it may be on its way already
	}
	if late := b.timely.check(); late != nil {
		return 0, late
	}
	return n, err
}

// dialUnlingering makes connections that, when they are closed, drop what was
// not sent yet: a kernel would else go on sending a request that was given up,
// for many minutes, until the network lets it through.
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
