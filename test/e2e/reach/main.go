// Command reach runs in Pods of the end-to-end tests and tells what they reach.
//
// Contract: "dial ADDRESS..." tries all addresses at once over TCP and prints one line for each,
// in their order: "reached", "refused", or what else went wrong. "serve ADDRESS..." takes
// connections at the addresses; one that this machine lacks is added to its loopback device,
// for which it needs NET_ADMIN. Serving ends after lifetime, so that a container that was put
// into somebody's Pod does not stay.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	dialTimeout = 3 * time.Second
	lifetime    = 15 * time.Minute
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reach:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 1 && args[0] == "dial":
		for _, outcome := range dial(context.Background(), args[1:]) {
			fmt.Println(outcome)
		}
		return nil
	case len(args) > 1 && args[0] == "serve":
		ctx, cancel := context.WithTimeout(context.Background(), lifetime)
		defer cancel()
		return serve(ctx, args[1:])
	}
	return errors.New("want dial or serve, and addresses")
}

func dial(ctx context.Context, addresses []string) []string {
	dialer := net.Dialer{Timeout: dialTimeout}
	outcomes := make([]string, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() {
			outcomes[i] = outcome(dialer.DialContext(ctx, "tcp", address))
		})
	}
	all.Wait()
	return outcomes
}

func outcome(conn net.Conn, err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case err != nil:
		return err.Error()
	}
	_ = conn.Close()
	return "reached"
}

func serve(ctx context.Context, addresses []string) error {
	for _, address := range addresses {
		listener, err := listen(ctx, address)
		if err != nil {
			return err
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_ = conn.Close()
			}
		}()
	}
	<-ctx.Done()
	return nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return listener, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	own := &netlink.Addr{IPNet: netlink.NewIPNet(net.ParseIP(host))}
	if err := netlink.AddrAdd(loopback, own); err != nil {
		return nil, fmt.Errorf("adding %s: %w", host, err)
	}
	return config.Listen(ctx, "tcp", address)
}
