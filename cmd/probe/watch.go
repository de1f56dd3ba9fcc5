package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/cli/comparesandbox/nodeusage"
)

// ready is the first line that is printed: from now on no Pod is missed.
type ready struct {
	Ready         bool `json:"ready"`
	CgroupVersion int  `json:"cgroupVersion"`
}

func newWatch() *cobra.Command {
	var cgroup, proc string
	var interval time.Duration
	c := &cobra.Command{
		Use:   "watch",
		Short: "Print what each Pod used that begins from now on, when it has ended",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if interval <= 0 {
				return errors.New("--interval must be positive")
			}
			reader, err := nodeusage.New(cgroup, proc)
			if err != nil {
				return err
			}
			out := json.NewEncoder(c.OutOrStdout())
			if err := out.Encode(ready{Ready: true, CgroupVersion: reader.Version}); err != nil {
				return err
			}
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			return reader.Watch(c.Context(), ticker.C, func(e nodeusage.Ended) error { return out.Encode(e) })
		},
	}
	c.Flags().StringVar(&cgroup, "cgroup", "/sys/fs/cgroup", "where the node's control groups are mounted")
	c.Flags().StringVar(&proc, "proc", "/proc", "where the node's processes are mounted")
	c.Flags().DurationVar(&interval, "interval", 100*time.Millisecond, "time between two looks")
	return c
}
