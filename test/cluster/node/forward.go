package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// forward accepts on a listener of the host's network and connects to an
// address in this process's network, until the listener is closed.
func forward(listener net.Listener, to string) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			slog.Error("accept on the host", "address", listener.Addr().String(), "error", err)
			// Too many open files, for one, passes.
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go forwardOne(conn, to)
	}
}

func forwardOne(outside net.Conn, to string) {
	defer outside.Close()
	// The server is not there yet while the cluster starts, nor when it is
	// being restarted; the client then sees a closed connection.
	inside, err := net.DialTimeout("tcp", to, 5*time.Second) //nolint:noctx // the connection has no context but its end
	if err != nil {
		return
	}
	defer inside.Close()
	var both sync.WaitGroup
	both.Add(2)
	go copyHalf(&both, inside, outside)
	go copyHalf(&both, outside, inside)
	both.Wait()
}

// copyHalf copies one direction and passes its end on, as a client may close
// its half and still read.
func copyHalf(done *sync.WaitGroup, to, from net.Conn) {
	defer done.Done()
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func listenerOf(file *os.File) (net.Listener, error) {
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take over listener %q: %w", file.Name(), err)
	}
	_ = file.Close()
	return listener, nil
}

// listenPreferred listens on the port asked for, or else on one of the nine
// behind it, or on any.
func listenPreferred(preferred int) (*net.TCPListener, error) {
	const tries = 10
	for port := preferred; port < preferred+tries; port++ {
		if l, err := listenLocal(port); err == nil {
			return l, nil
		}
	}
	return listenLocal(0)
}

func listenLocal(port int) (*net.TCPListener, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, fmt.Errorf("listen on the host: %w", err)
	}
	return l, nil
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
