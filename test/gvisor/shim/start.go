package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
)

// manager replaces only the Start of gVisor's manager.
type manager struct {
	shim.Manager
}

// Start starts the shim process that serves the container id and reports its
// address to containerd.
func (m manager) Start(ctx context.Context, id string, opts shim.StartOpts) (shim.BootstrapParams, error) {
	address, err := startShim(ctx, id, opts)
	if err != nil {
		return shim.BootstrapParams{}, err
	}
	// The caller prints whatever is returned as JSON. The bare address goes out
	// first, and what comes after it goes nowhere.
	if _, err := fmt.Fprint(os.Stdout, address); err != nil {
		return shim.BootstrapParams{}, fmt.Errorf("report shim address %q: %w", address, err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return shim.BootstrapParams{}, fmt.Errorf("silence bootstrap parameters: %w", err)
	}
	os.Stdout = null
	return shim.BootstrapParams{Version: 2, Address: address, Protocol: "ttrpc"}, nil
}

func startShim(ctx context.Context, id string, opts shim.StartOpts) (string, error) {
	address, err := shim.SocketAddress(ctx, opts.Address, id, opts.Debug)
	if err != nil {
		return "", fmt.Errorf("choose shim address for %q: %w", id, err)
	}
	socket, err := listen(address)
	if err != nil {
		return "", err
	}
	// The shim listens on: the file must outlive this process's copy.
	socket.SetUnlinkOnClose(false)
	defer socket.Close()
	listener, err := socket.File()
	if err != nil {
		return "", fmt.Errorf("pass shim socket %q on: %w", address, err)
	}
	defer listener.Close()

	cmd, err := command(ctx, id, opts)
	if err != nil {
		return "", err
	}
	cmd.ExtraFiles = []*os.File{listener} // the shim expects it as descriptor 3
	// Both files are read back by the shim's clean-up and by containerd.
	if err := os.WriteFile("address", []byte(address), 0o644); err != nil {
		return "", fmt.Errorf("write shim address: %w", err)
	}
	if err := cmd.Start(); err != nil {
		_ = shim.RemoveSocket(address)
		return "", fmt.Errorf("start shim for %q: %w", id, err)
	}
	if err := shim.WritePidFile("shim.pid", cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = shim.RemoveSocket(address)
		return "", fmt.Errorf("write shim pid: %w", err)
	}
	return address, nil
}

// listen takes over the socket a killed shim of the same container left behind.
func listen(address string) (*net.UnixListener, error) {
	socket, err := shim.NewSocket(address)
	if err == nil {
		return socket, nil
	}
	if !shim.SocketEaddrinuse(err) || shim.CanConnect(address) {
		return nil, fmt.Errorf("listen on shim address %q: %w", address, err)
	}
	if err := shim.RemoveSocket(address); err != nil {
		return nil, fmt.Errorf("remove stale shim address %q: %w", address, err)
	}
	if socket, err = shim.NewSocket(address); err != nil {
		return nil, fmt.Errorf("listen on shim address %q: %w", address, err)
	}
	return socket, nil
}

func command(ctx context.Context, id string, opts shim.StartOpts) (*exec.Cmd, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the shim's own binary: %w", err)
	}
	args := []string{"-namespace", namespace, "-address", opts.Address, "-id", id}
	if opts.Debug {
		args = append(args, "-debug")
	}
	cmd := exec.Command(self, args...)
	// The Go runtime of an idle shim needs no more than two processors.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}
