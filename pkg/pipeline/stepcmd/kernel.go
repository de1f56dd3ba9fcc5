package stepcmd

import (
	"os"
	"strings"
)

// kernel returns what the kernel says of itself. In the log of the first step it
// shows where the Pod really ran: a sandbox has a kernel of its own.
func kernel() string {
	version, err := os.ReadFile("/proc/version")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(version))
}
