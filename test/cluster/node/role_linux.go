package node

import (
	"fmt"
	"strconv"
)

// Role runs one of the cluster's own processes in this one. The cluster
// command calls it with what follows its hidden argument "role"; people do not.
func Role(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("role wants a name and a configuration file, not %q", args)
	}
	c, err := loadConfig(args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "supervisor":
		return runSupervisor(c)
	case "janitor":
		return runJanitor(c)
	case "init":
		return runInit(c)
	case "agent":
		if len(args) != 3 {
			return fmt.Errorf("role agent wants the number of process 1, not %q", args[2:])
		}
		pid, err := strconv.Atoi(args[2])
		if err != nil {
			return fmt.Errorf("decode the number of process 1: %w", err)
		}
		return runAgent(c, pid)
	default:
		return fmt.Errorf("unknown role %q", args[0])
	}
}
