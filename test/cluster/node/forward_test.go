package node

import (
	"io"
	"net"
	"testing"
	"time"
)

const testTimeout = 10 * time.Second

func TestAPreferredPortIsTakenUnlessItIsInUse(t *testing.T) {
	first, err := listenPreferred(0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	used := portOf(first)
	second, err := listenPreferred(used)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got := portOf(second); got == used {
		t.Errorf("port %d was given twice", got)
	}
	_ = first.Close()
	third, err := listenPreferred(used)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if got := portOf(third); got != used {
		t.Errorf("got port %d, want the free %d", got, used)
	}
}

// TestAForwardedConnectionEndsHalfAtATime sends a request, ends the sending
// half, and reads an answer that the server sends only after that end.
func TestAForwardedConnectionEndsHalfAtATime(t *testing.T) {
	inside, err := listenLocal(0)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	go func() {
		conn, err := inside.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request, _ := io.ReadAll(conn)
		_, _ = conn.Write(append([]byte("got "), request...))
	}()
	outside, err := listenLocal(0)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	go forward(outside, inside.Addr().String())

	conn, err := (&net.Dialer{Timeout: testTimeout}).DialContext(t.Context(), "tcp", outside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(answer); got != "got request" {
		t.Errorf("answer %q", got)
	}
}

func TestAConnectionToWhatIsNotThereIsClosed(t *testing.T) {
	absent, err := listenLocal(0)
	if err != nil {
		t.Fatal(err)
	}
	to := absent.Addr().String()
	_ = absent.Close()
	outside, err := listenLocal(0)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	go forward(outside, to)
	conn, err := (&net.Dialer{Timeout: testTimeout}).DialContext(t.Context(), "tcp", outside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes and error %v, want the end", n, err)
	}
}
