package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// runtimeServer removes images, as a node's container runtime does.
type runtimeServer struct {
	cri.UnimplementedImageServiceServer

	removed []string
}

func (s *runtimeServer) RemoveImage(_ context.Context, r *cri.RemoveImageRequest) (*cri.RemoveImageResponse, error) {
	if r.GetImage().GetImage() == "broken" {
		return nil, errors.New("disk is on fire")
	}
	s.removed = append(s.removed, r.GetImage().GetImage())
	return &cri.RemoveImageResponse{}, nil
}

// serve returns the socket of a container runtime.
func serve(t *testing.T) (*runtimeServer, string) {
	t.Helper()
	// A socket's path is short, which a test's own folder is not everywhere.
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &runtimeServer{}
	server := grpc.NewServer()
	cri.RegisterImageServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return s, socket
}

func TestImagesAreRemoved(t *testing.T) {
	s, socket := serve(t)
	var out, errOut bytes.Buffer
	if status := run(t.Context(), []string{"remove-images", "--endpoint", socket, "a@sha256:1", "b:2"}, &out, &errOut); status != 0 {
		t.Fatalf("status %d: %s", status, errOut.String())
	}
	if out.String() != "removed a@sha256:1\nremoved b:2\n" || !slices.Equal(s.removed, []string{"a@sha256:1", "b:2"}) {
		t.Errorf("printed %q, removed %v", out.String(), s.removed)
	}
}

// What cannot be done says what and where.
func TestErrors(t *testing.T) {
	_, socket := serve(t)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"an image that cannot be removed", []string{"remove-images", "--endpoint", socket, "broken"}, "probe: removing image broken at " + socket + ": "},
		{"no socket", []string{"remove-images", "--endpoint", socket + "none", "x"}, "connect: no such file or directory"},
		{"no image", []string{"remove-images"}, "probe: requires at least 1 arg"},
		{"no node", []string{"watch", "--cgroup", t.TempDir() + "/none"}, "probe: reading control groups at "},
		{"no interval", []string{"watch", "--interval", "0s"}, "probe: --interval must be positive"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if status := run(t.Context(), test.args, &out, &errOut); status != 1 || !strings.Contains(errOut.String(), test.want) {
				t.Errorf("status %d: %s", status, errOut.String())
			}
		})
	}
}

// output ends the watch when enough was printed.
type output struct {
	bytes.Buffer

	lines int
	full  context.CancelFunc
}

func (o *output) Write(b []byte) (int, error) {
	if o.lines--; o.lines == 0 {
		o.full()
	}
	return o.Buffer.Write(b)
}

// The first line says that no Pod is missed from now on.
func TestWatchSaysWhenItIsReady(t *testing.T) {
	cgroup := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cgroup, "memory", "kubepods"), 0o750); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &output{lines: 1, full: cancel}
	var errOut bytes.Buffer
	if status := run(ctx, []string{"watch", "--cgroup", cgroup, "--interval", "1ms"}, out, &errOut); status != 0 {
		t.Fatalf("status %d: %s", status, errOut.String())
	}
	if got := out.String(); got != `{"ready":true,"cgroupVersion":1}`+"\n" {
		t.Errorf("printed %q", got)
	}
}
