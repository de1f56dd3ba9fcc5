package integration

import (
	"net"
	"sync"
	"testing"
)

// gate stands between a process and the API server, as a network that may be
// cut. What is sent into a cut network is not refused, and arrives, both ways,
// when it heals: late, as a kernel's retransmissions do.
type gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  chan struct{} // closed while the network works
	conns []net.Conn
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, target: target, open: make(chan struct{})}
	close(g.open)
	var serving sync.WaitGroup
	serving.Go(func() { g.serve(&serving) })
	t.Cleanup(func() {
		_ = l.Close()
		g.heal()
		g.mu.Lock()
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.mu.Unlock()
		serving.Wait()
	})
	return g
}

func (g *gate) address() string { return g.listener.Addr().String() }

func (g *gate) serve(serving *sync.WaitGroup) {
	for {
		near, err := g.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", g.target) //nolint:noctx // it ends with the test's cleanup
		if err != nil {
			_ = near.Close()
			continue
		}
		g.mu.Lock()
		g.conns = append(g.conns, near, far)
		g.mu.Unlock()
		serving.Go(func() { g.copy(far, near) })
		serving.Go(func() { g.copy(near, far) })
	}
}

// copy passes on what it reads once the network works.
func (g *gate) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		<-g.working()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (g *gate) working() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}
