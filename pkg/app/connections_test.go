package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// serveHealth serves /healthz, and POST / which reads its body, within bounds on connections.
func serveHealth(t *testing.T, most, address int) *server {
	t.Helper()
	mux := http.NewServeMux()
	(&health{now: time.Now}).register(mux)
	mux.HandleFunc("POST /{$}", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	s := newServer(mux, zap.NewNop())
	s.connections.most, s.connections.address = most, address
	if err := s.start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.http.Close() })
	return s
}

// dial opens a connection from an address of the loopback, and sends something.
func dial(t *testing.T, s *server, from, send string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	return c
}

// probe returns the status of /healthz, asked on a connection of its own; 0 if it was closed.
func probe(t *testing.T, s *server, from string) int {
	t.Helper()
	c := dial(t, s, from, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// await waits until a condition of the connections holds.
func await(t *testing.T, s *server, what string, holds func(c *connections) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		s.connections.mu.Lock()
		ok := holds(s.connections)
		s.connections.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *connections) busy() (n int) {
	for _, open := range c.open {
		for one := range open {
			if one.busy {
				n++
			}
		}
	}
	return n
}

// Whoever keeps connections open keeps nobody out, and no probe: neither of another address
// nor, while they are idle, of its own.
func TestConnectionsThatAreKeptKeepNobodyOut(t *testing.T) {
	const (
		silent  = ""
		idle    = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
		header  = "GET /healthz HTTP/1.1\r\nHost: "
		either  = -1 // as the others' connections have closed by then, or not
		payload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
	)
	for _, test := range []struct {
		name string
		// addresses open that many connections each, and send this on each.
		addresses, each int
		send            string
		busy            bool
		// own is what an address that holds some is answered.
		own int
	}{
		{"one address says nothing", 1, 40, silent, false, 200},
		{"one address has asked, and stays", 1, 40, idle, false, 200},
		{"one address sends half a header", 1, 40, header, false, 200},
		{"one address sends half a body", 1, 40, payload, true, 0},
		{"many addresses send half a body", 12, 6, payload, true, either},
		{"many addresses say nothing", 12, 6, silent, false, 200},
		{"many addresses have asked, and stay", 12, 6, idle, false, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			const most, address = 32, 8
			s := serveHealth(t, most, address)
			for a := range test.addresses {
				for range test.each {
					dial(t, s, fmt.Sprintf("127.0.0.%d", 10+a), test.send)
				}
			}
			held := min(most, test.addresses*min(address, test.each))
			await(t, s, "all connections are open", func(c *connections) bool { return c.all == held && (!test.busy || c.busy() == held) })
			for _, other := range []string{"127.0.0.1", "127.0.0.2"} {
				if code := probe(t, s, other); code != http.StatusOK {
					t.Errorf("a probe from %s was answered %d, want 200", other, code)
				}
			}
			if code := probe(t, s, "127.0.0.10"); code != test.own && test.own != either {
				t.Errorf("the address itself was answered %d, want %d", code, test.own)
			}
			if s.connections.all > most {
				t.Errorf("%d connections are open, want at most %d", s.connections.all, most)
			}
		})
	}
}

// A request that is under way is not ended for another one's sake.
func TestNoRequestIsEndedForAConnection(t *testing.T) {
	s := serveHealth(t, 8, 2)
	slow := dial(t, s, "127.0.0.10", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
	await(t, s, "the request has begun", func(c *connections) bool { return c.busy() == 1 })
	for range 9 {
		await(t, s, "the probe before is answered", func(c *connections) bool { return c.busy() == 1 })
		if code := probe(t, s, "127.0.0.10"); code != http.StatusOK {
			t.Fatalf("a probe was answered %d, want 200", code)
		}
		dial(t, s, "127.0.0.10", "")
	}
	if _, err := io.WriteString(slow, strings.Repeat("x", 4)); err != nil {
		t.Fatal(err)
	}
	_ = slow.SetReadDeadline(time.Now().Add(10 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatalf("the request was ended: %v", err)
	}
	_ = response.Body.Close()
	_ = slow.Close()
}

// What ended holds no place.
func TestConnectionsThatEndedHoldNoPlace(t *testing.T) {
	s := serveHealth(t, 4, 4)
	for range 20 {
		if code := probe(t, s, "127.0.0.1"); code != http.StatusOK {
			t.Fatalf("a probe was answered %d, want 200", code)
		}
	}
	await(t, s, "no connection is open", func(c *connections) bool { return c.all == 0 && len(c.open) == 0 })
}
