//go:build failpoint

package failpoint

import (
	"os"
	"syscall"
)

// target is read from the environment here, not in the wiring, so that no
// production type carries a field that only crash tests use.
var target = os.Getenv("REVET_FAILPOINT")

// Hit kills the process as kill -9 would if name is the chosen failpoint.
func Hit(name string) {
	if name != target {
		return
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}
