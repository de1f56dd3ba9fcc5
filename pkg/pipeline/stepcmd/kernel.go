package stepcmd

import (
	"os"
	"strings"
)

// kernel returns the kernel's description of itself. The first step logs it, so the log shows where
// the Pod really ran: a sandbox has its own kernel.
func kernel() string {
	version, err := os.ReadFile("/proc/version")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(version))
}
