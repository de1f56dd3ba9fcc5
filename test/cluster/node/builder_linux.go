package node

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// builder keeps binaries in the cache, in a directory for each version.
type builder struct {
	cache     string
	say       func(format string, args ...any)
	toolchain string
}

// once returns the directory of that name, which build fills the first time.
// Other checkouts may want it at the same time: one builds, the others wait.
func (b builder) once(ctx context.Context, name, what string, build func(dir string) error) (string, error) {
	dir := filepath.Join(b.cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of binaries: %w", err)
	}
	var lock *os.File
	err := waiter{say: b.say}.await(ctx, "another command that builds "+what, func(context.Context) error {
		file, free, err := tryLock(dir + ".lock")
		if err == nil && !free {
			err = fmt.Errorf("%q is locked", dir)
		}
		lock = file
		return err
	})
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	temporary := dir + ".part"
	if err := os.RemoveAll(temporary); err != nil {
		return "", fmt.Errorf("remove an unfinished build: %w", err)
	}
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of binaries: %w", err)
	}
	if err := build(temporary); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, dir); err != nil {
		return "", fmt.Errorf("keep what was built: %w", err)
	}
	return dir, nil
}

// compilation is one run of go build.
type compilation struct{ dir, pkg, out, ldflags string }

// progressEvery is how often a build that takes long says that it goes on.
const progressEvery = 15 * time.Second

// compile runs go build and says every few seconds how many packages it has
// compiled: a first build is long enough to look like a hang.
func (b builder) compile(ctx context.Context, what string, c compilation) error {
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-ldflags", c.ldflags, "-o", c.out, c.pkg)
	cmd.Dir, cmd.Env = c.dir, goEnvironment()
	// An interrupted go command would leave its compilers running.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("run go build: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go build: %w", err)
	}
	var compiled atomic.Int64
	done := make(chan struct{})
	go b.remind(what, c.pkg, began, &compiled, done)
	output := tail(stderr, &compiled)
	err = cmd.Wait()
	close(done)
	if ctx.Err() != nil {
		return fmt.Errorf("build %s: %w", what, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("build %s: %w:\n%s", c.pkg, err, output)
	}
	if took := time.Since(began); took > progressEvery {
		b.say("built %s in %s", c.pkg, took.Round(time.Second))
	}
	return nil
}

func (b builder) remind(what, pkg string, began time.Time, compiled *atomic.Int64, done <-chan struct{}) {
	// A cached build is done before it is worth a line.
	first := time.NewTimer(2 * time.Second)
	defer first.Stop()
	select {
	case <-first.C:
		b.say("building %s", what)
	case <-done:
		return
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.say("  still building %s: %d packages in %s", pkg, compiled.Load(), time.Since(began).Round(time.Second))
		case <-done:
			return
		}
	}
}

// tail counts the packages that go build -v names, and returns what else it
// printed, which is its errors.
func tail(r io.Reader, compiled *atomic.Int64) string {
	var errors []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.ContainsAny(line, " \t:#") {
			if !strings.HasPrefix(line, "go: downloading ") {
				errors = append(errors, line)
			}
			continue
		}
		compiled.Add(1)
	}
	return lastLines(strings.Join(errors, "\n"), 30)
}
