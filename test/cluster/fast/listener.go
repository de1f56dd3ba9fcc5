package fast

import (
	"net"
	"sync"
)

// closingListener can close the connections that it accepted. A watch that the API server passes on from an aggregated
// API, or a client that keeps its connection, would otherwise hold up its end for a minute.
type closingListener struct {
	net.Listener

	mu     sync.Mutex
	conns  map[*trackedConn]struct{}
	closed bool
}

// trackedConn forgets itself when it is closed.
type trackedConn struct {
	net.Conn
	listener *closingListener
}

// Accept remembers the connection.
func (l *closingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tracked := &trackedConn{conn, l}
	if l.closed {
		_ = conn.Close()
		return tracked, nil
	}
	if l.conns == nil {
		l.conns = map[*trackedConn]struct{}{}
	}
	l.conns[tracked] = struct{}{}
	return tracked, nil
}

// Close ends the connection.
func (c *trackedConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

func (l *closingListener) closeAll() {
	l.mu.Lock()
	conns := l.conns
	l.conns, l.closed = nil, true
	l.mu.Unlock()
	for c := range conns {
		// It is going away in any case.
		_ = c.Conn.Close()
	}
}
