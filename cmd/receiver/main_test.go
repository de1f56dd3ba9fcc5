package main

import "testing"

// The program says which build it is without a cluster.
func TestVersion(t *testing.T) {
	if status := run([]string{"--version"}); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
