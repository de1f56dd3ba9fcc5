package node

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// supervisor is the role of the cluster's outermost process.
type supervisor struct {
	config  Config
	lock    *os.File // shared with the janitor
	api     *os.File // listeners of the host, passed on to the agent
	images  *os.File
	reports *os.File
	caller  *os.File // ends when Up does; a byte before that lets the cluster stay
}

func runSupervisor(c Config) error {
	files := inherited("lock", "api", "registry", "reports", "caller")
	s := supervisor{c, files[0], files[1], files[2], files[3], files[4]}
	defer runtime.KeepAlive(s.lock) // see runJanitor
	c.SupervisorPID = os.Getpid()
	s.config = c
	if err := s.run(); err != nil {
		newReporter(s.reports).send(report{Error: err.Error()})
		return err
	}
	return nil
}

// run starts the janitor before anything that it would have to remove.
func (s supervisor) run() error {
	// Parent-death signals are sent when the parent's thread ends: the thread
	// that starts children has to be one that lives as long as the process.
	runtime.LockOSThread()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	if err := s.identify(); err != nil {
		return err
	}
	janitor, err := s.startJanitor()
	if err != nil {
		return err
	}
	first, err := s.startInit(janitor)
	if err != nil {
		return errors.Join(err, s.end(janitor, first))
	}
	select {
	case <-first.done:
		err = fmt.Errorf("process 1 of the cluster ended: %w; logs are in %q", first.err, s.config.paths().logs())
	case <-janitor.done:
		err = errors.New("the janitor ended: taking the cluster down")
	case sig := <-stop:
		slog.Info("taking the cluster down", "signal", sig.String())
	case <-s.abandoned():
		err = errors.New("the command that started the cluster ended before it was ready")
	}
	return errors.Join(err, s.end(janitor, first))
}

// identify writes what Down needs to find this process.
func (s supervisor) identify() error {
	id, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	if err := writeJSON(s.config.paths().config(), s.config); err != nil {
		return err
	}
	return writeJSON(s.config.paths().pid(), id)
}

// child is a process of the supervisor's; err is set when done is closed.
type child struct {
	cmd  *exec.Cmd
	pipe *os.File // its end ends the child
	done chan struct{}
	err  error
}

func watch(cmd *exec.Cmd, pipe *os.File) *child {
	c := &child{cmd: cmd, pipe: pipe, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if c.err = cmd.Wait(); c.err == nil {
			c.err = errors.New("exit status 0")
		}
	}()
	return c
}

func (s supervisor) startJanitor() (*child, error) {
	orders, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the janitor's pipe: %w", err)
	}
	defer orders.Close()
	answers, ack, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the janitor's pipe: %w", err)
	}
	defer ack.Close()
	defer answers.Close()
	cmd := s.role("janitor", s.lock, orders, ack)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	_ = ack.Close() // the read below must see the janitor's end
	if _, err := bufio.NewReader(answers).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("wait for the janitor: %w", err)
	}
	return watch(cmd, write), nil
}

// startInit starts process 1, which waits until the janitor knows it.
func (s supervisor) startInit(janitor *child) (*child, error) {
	life, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the pipe of process 1: %w", err)
	}
	defer life.Close()
	cmd := s.role("init", life, s.api, s.images, s.reports)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start process 1 in namespaces of its own (a container needs --privileged for that): %w", err)
	}
	// Up must see the end of the reports when the agent ends.
	for _, f := range []*os.File{s.api, s.images, s.reports} {
		_ = f.Close()
	}
	first := watch(cmd, write)
	if _, err := fmt.Fprintf(janitor.pipe, "%d\n", cmd.Process.Pid); err != nil {
		return first, fmt.Errorf("tell the janitor of process 1: %w", err)
	}
	if _, err := fmt.Fprintf(write, "%d\n", cmd.Process.Pid); err != nil {
		return first, fmt.Errorf("release process 1: %w", err)
	}
	return first, nil
}

func (s supervisor) role(name string, files ...*os.File) *exec.Cmd {
	return roleCommand(s.config, name, files...)
}

// roleCommand is this binary in another role. Its output goes to this
// process's log.
func roleCommand(c Config, name string, files ...*os.File) *exec.Cmd {
	cmd := exec.Command(c.Executable, "role", name, c.paths().config()) //nolint:noctx // a role outlives whoever starts it
	cmd.Dir = "/"
	cmd.Env = environment(c)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	return cmd
}

// environment is the whole environment of every process of the cluster.
func environment(c Config) []string {
	return []string{
		"PATH=" + strings.Join([]string{c.GVisor, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}, ":"),
		"HOME=" + c.Dir,
		"TMPDIR=" + c.file("tmp"),
	}
}

// abandoned is closed when Up ended without having let the cluster stay.
func (s supervisor) abandoned() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		if n, _ := s.caller.Read(make([]byte, 1)); n == 0 {
			close(gone)
		}
	}()
	return gone
}

// end takes the cluster down. The janitor removes what is left when this
// process has ended; where there is no janitor any more, this process does.
func (s supervisor) end(janitor, first *child) error {
	if first != nil {
		_ = first.cmd.Process.Kill()
		<-first.done
	}
	select {
	case <-janitor.done:
		return cleanUp(s.config.paths(), s.config.ID)
	default:
		return nil
	}
}
