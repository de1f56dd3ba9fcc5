package chaos

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link passes TCP connections on, to each of its backends in turn; with several it is a stand-in for a Service. It can be cut.
//
// A backend that refuses a connection is passed over, as if its Pod had become unready at once. One that does not answer
// is not: a Service's probes would need longer than the faults last.
type link struct {
	name     string
	listener net.Listener
	backends []string
	turn     atomic.Uint64

	mu    sync.Mutex
	state linkState
	// open is closed while connections are passed on.
	open  chan struct{}
	conns map[net.Conn]struct{}
}

type linkState int

const (
	passing linkState = iota
	refusing
	stalled
)

const dialTimeout = 2 * time.Second

func newLink(ctx context.Context, name, address string, backends ...string) (*link, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &link{name: name, listener: listener, backends: backends, open: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(l.open)
	go l.serve()
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }
func (l *link) url() string     { return "http://" + l.address() }

func (l *link) close() {
	_ = l.listener.Close() // it is gone in any case
	l.set(refusing)
}

// set changes what happens to connections. What a stalled link held back gets through once it passes again.
func (l *link) set(s linkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s == stalled && l.state != stalled {
		l.open = make(chan struct{})
	}
	if s != stalled && l.state == stalled {
		close(l.open)
	}
	l.state = s
	if s == refusing {
		for c := range l.conns {
			_ = c.Close()
		}
		clear(l.conns)
	}
}

// pass waits while the link is stalled.
func (l *link) pass() {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	<-open
}

// keep remembers a connection, to close it; it says no if there are to be none.
func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == refusing {
		_ = c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *link) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

func (l *link) serve() {
	for {
		client, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go l.connect(client)
		}
	}
}

func (l *link) connect(client net.Conn) {
	if !l.keep(client) {
		return
	}
	defer l.forget(client)
	l.pass()
	server := l.dial()
	if server == nil || !l.keep(server) {
		return
	}
	defer l.forget(server)
	done := make(chan struct{}, 2)
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		go func() {
			l.copy(to, from)
			done <- struct{}{}
		}()
	}
	<-done // one end is closed: so is the other
}

func (l *link) dial() net.Conn {
	first := int(l.turn.Add(1) % uint64(len(l.backends))) //nolint:gosec // below the number of backends
	for i := range l.backends {
		c, err := net.DialTimeout("tcp", l.backends[(first+i)%len(l.backends)], dialTimeout) //nolint:noctx // bounded
		if err == nil {
			return c
		}
	}
	return nil
}

func (l *link) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.pass()
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}
