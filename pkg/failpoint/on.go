//go:build failpoint

package failpoint

import (
	"os"
	"strings"
	"sync"
	"syscall"
)

// target is read from the environment here, not in the wiring, so that no
// production type carries a field that only crash tests use.
var target, how, _ = strings.Cut(os.Getenv("REVET_FAILPOINT"), ":")

// stop makes the process stand still once, until somebody continues it.
var stop = sync.OnceFunc(func() { send(syscall.SIGSTOP) })

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
	send(syscall.SIGKILL)
	select {}
}

func send(signal syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		panic(err)
	}
}
