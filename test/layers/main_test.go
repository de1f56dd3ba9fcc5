package layers

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

var (
	random      = flag.Int("random", 300, "how many random stacks to compare")
	adversarial = flag.Int("adversarial", -1, "how many adversarial stacks to compare; -1 is all")
	seed        = flag.Uint64("seed", 1, "what the random stacks are made from")
	tell        = flag.String("tell", "", "tell of every stack whose outcome contains this, as \"not told\"")
	only        = flag.String("only", "", "the name of the only stack to compare, as a failure prints it")
)

// scratch names the directory of the tmpfs, for the process in the namespace.
const scratch = "REVET_LAYERS_SCRATCH"

func TestMain(m *testing.M) {
	// containers/storage unpacks in a child in a root of its own, which is this program.
	if reexec.Init() {
		return
	}
	flag.Parse()
	if os.Getenv(scratch) == "" {
		os.Exit(inNamespace())
	}
	if err := mountScratch(os.Getenv(scratch)); err != nil {
		fmt.Fprintln(os.Stderr, cannot(err))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// inNamespace runs this program again in a mount namespace of its own.
func inNamespace() int {
	dir, err := os.MkdirTemp("", "revet-layers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// The child must not outlive this process, and the signal goes by thread.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // it ends with this process
	cmd.Env = append(os.Environ(), scratch+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, cannot(err))
		return 1
	default:
		return 0
	}
}

func mountScratch(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2g,mode=0700"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	unix.Umask(0o022) // as service managers start runtimes
	return os.Setenv("TMPDIR", dir)
}

func cannot(err error) error {
	return fmt.Errorf("FAIL: this machine cannot mount what runtimes mount, so nothing was compared: %w.\n"+
		"Run the test as root on Linux with overlay and tmpfs, outside of an unprivileged container", err)
}
