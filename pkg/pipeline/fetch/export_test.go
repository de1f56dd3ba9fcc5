package fetch

import (
	"context"
	"net"
)

// WithDial returns o with another dialer, so that a test can name hosts.
func (o Options) WithDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) Options {
	o.dial = dial
	return o
}
