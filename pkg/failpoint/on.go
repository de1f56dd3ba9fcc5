//go:build failpoint

package failpoint

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// target is read from the environment here, not in the wiring, so that no
// production type carries a field that only crash tests use.
var target, how, _ = strings.Cut(os.Getenv("REVET_FAILPOINT"), ":")

// stop makes the process stand still once, until somebody continues it.
var stop = sync.OnceFunc(func() {
	// To this thread: a signal to the process may be taken by another one, and this
	// one would go on for a while.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, errno := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGSTOP))
	if errno != 0 {
		panic(errno)
	}
})

// Hit kills the process as kill -9 would, or stops it as kill -STOP would, if
// name is the chosen failpoint.
func Hit(name string) {
	if name != target {
		return
	}
	if how == "stop" {
		stop()
		return
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}

// longest bounds Pause; 0 does not.
var longest, _ = time.ParseDuration(os.Getenv("REVET_FAILPOINT_PAUSE"))

// Pause returns d, or the time that REVET_FAILPOINT_PAUSE gives if that is less.
func Pause(d time.Duration) time.Duration {
	if longest > 0 {
		return min(d, longest)
	}
	return d
}
