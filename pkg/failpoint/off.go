//go:build !failpoint

package failpoint

import "time"

// Hit does nothing in this build.
func Hit(string) {}

// Pause returns d.
func Pause(d time.Duration) time.Duration { return d }
