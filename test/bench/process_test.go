//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startPatience = 60 * time.Second
	stopPatience  = 5 * time.Second
)

// process is a program that runs beside the benchmark.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *syncBuffer
	// ended closes when the program has.
	ended chan struct{}
	stop  func()
}

// syncBuffer keeps what a program prints, for a failure.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 4000
	content := s.b.String()
	return content[max(0, len(content)-most):]
}

// start runs a program until the benchmark ends, or stop is called.
func start(b *testing.B, name, program string, env []string, args ...string) *process {
	b.Helper()
	p := &process{name: name, cmd: exec.CommandContext(context.WithoutCancel(b.Context()), program, args...), log: &syncBuffer{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// A benchmark that is killed, or runs out of time, leaves nothing behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		// That signal comes when the thread ends that started the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // that it ended at all is what matters; the log says why
		}
	}()
	if err := <-started; err != nil {
		b.Fatalf("starting %s: %v", name, err)
	}
	p.stop = sync.OnceFunc(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
		select {
		case <-p.ended:
		case <-time.After(stopPatience):
			// Tekton's sink ignores the first SIGTERM.
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	})
	b.Cleanup(func() {
		p.stop()
		if b.Failed() {
			b.Logf("the end of what %s printed:\n%s", name, p.log.tail())
		}
	})
	return p
}

// await returns once the URL answers 200.
func (p *process) await(b *testing.B, url string) {
	b.Helper()
	eventually(b, startPatience, p.name+" is ready", func() error {
		select {
		case <-p.ended:
			b.Fatalf("%s has ended:\n%s", p.name, p.log.tail())
		default:
		}
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", url, response.Status)
		}
		return nil
	})
}

// residentMiB is the memory that the process holds.
func (p *process) residentMiB() (float64, error) { return p.memoryMiB("VmRSS") }

// memoryMiB is a line of the process's status.
func (p *process) memoryMiB(name string) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no %s: it has ended", p.name, name)
}

// freeAddress is a loopback address that nobody listens on. Some of the programs cannot choose one and tell it.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// eventually polls until the condition gives no error.
func eventually(b *testing.B, patience time.Duration, what string, condition func() error) {
	b.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			b.Fatalf("%s: not within %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}

// goBuild builds commands of the product into a folder.
func goBuild(ctx context.Context, dir string, packages ...string) error {
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}, packages...)...)
	build.Dir = root
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %v: %w: %s", packages, err, out)
	}
	return nil
}

// crdDirs are the folders with the kinds of Revet and Tekton.
func crdDirs(ctx context.Context) ([]string, error) {
	dirs := []string{filepath.Join(root, "config")}
	for module, folder := range map[string]string{"github.com/tektoncd/pipeline": "config/300-crds", "github.com/tektoncd/triggers": "config"} {
		out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
		if err != nil {
			return nil, fmt.Errorf("asking for the sources of %s: %w", module, err)
		}
		var found struct{ Dir string }
		if err := json.Unmarshal(out, &found); err != nil {
			return nil, fmt.Errorf("asking for the sources of %s: %w", module, err)
		}
		dirs = append(dirs, filepath.Join(found.Dir, filepath.FromSlash(folder)))
	}
	return dirs, nil
}
