package app

import (
	"net"
	"net/http"
	"sync"
)

// connections bounds the connections of a server: in all, and of each address. One more than
// that ends another one on which no request is under way, so that whoever keeps connections
// open keeps nobody out. If there is none, the new one is closed; unless it is of an address that
// has fewer than half as many as another: that one loses the one that it used longest ago, so
// that requests that do not end keep nobody out either.
type connections struct {
	most    int // in all
	address int // of one address

	mu   sync.Mutex
	all  int
	open map[string]map[*connection]struct{}
	next uint64
}

func newConnections(most, address int) *connections {
	return &connections{most: most, address: address, open: map[string]map[*connection]struct{}{}}
}

// connection is one that a server holds.
type connection struct {
	net.Conn
	of   *connections
	from string
	// used is when it was used last, counted in uses; busy: a request is under way, whose
	// header has come.
	used uint64
	busy bool
}

// Close gives its place back. It may be called more than once.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.leave(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// bounded accepts connections within the bounds.
type bounded struct {
	net.Listener
	connections *connections
}

// Accept returns the next connection that may stay.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := b.connections.admit(c); admitted != nil {
			return admitted, nil
		}
		_ = c.Close()
	}
}

// admit returns nil for a connection that may not stay.
func (c *connections) admit(conn net.Conn) net.Conn {
	from := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	admitted := &connection{Conn: conn, of: c, from: from}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.open[from]) >= c.address:
		if !c.end(from, false) {
			return nil
		}
	case c.all >= c.most:
		own := len(c.open[from])
		if !c.endOfLargest(own, false) && !c.end(from, false) && !c.endOfLargest(2*own, true) {
			return nil
		}
	}
	if c.open[from] == nil {
		c.open[from] = map[*connection]struct{}{}
	}
	c.open[from][admitted] = struct{}{}
	c.all++
	c.next++
	admitted.used = c.next
	return admitted
}

// end ends the connection of an address that was not used for longest, of those that are busy or
// are not. It returns false if there is none.
func (c *connections) end(from string, busy bool) bool {
	var oldest *connection
	for one := range c.open[from] {
		if one.busy == busy && (oldest == nil || one.used < oldest.used) {
			oldest = one
		}
	}
	if oldest == nil {
		return false
	}
	c.leave(oldest)
	_ = oldest.Conn.Close()
	return true
}

// endOfLargest ends a connection of the address that has the most of those with one that is
// busy or is not, and more than a number.
func (c *connections) endOfLargest(than int, busy bool) bool {
	largest := ""
	for from, open := range c.open {
		if len(open) <= max(than, len(c.open[largest])) {
			continue
		}
		for one := range open {
			if one.busy == busy {
				largest = from
				break
			}
		}
	}
	return largest != "" && c.end(largest, busy)
}

func (c *connections) leave(one *connection) {
	open := c.open[one.from]
	if _, is := open[one]; !is {
		return
	}
	delete(open, one)
	c.all--
	if len(open) == 0 {
		delete(c.open, one.from)
	}
}

// changed follows what becomes of a connection; it is an http.Server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	one, ok := conn.(*connection)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	one.used, one.busy = c.next, state == http.StateActive
}
