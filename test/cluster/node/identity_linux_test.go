package node

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestAProcessIsToldFromALaterOneOfItsNumber(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.alive() {
		t.Error("this process is not alive")
	}
	other := self
	other.Start = "1"
	if other.alive() {
		t.Error("a process of another start is taken for this one")
	}
	// Were it signalled, this test would end here.
	if err := other.signal(syscall.SIGKILL); err != nil {
		t.Errorf("signal a process that has ended: %v", err)
	}
}

func TestAProcessThatEndedIsNotAlive(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "read line")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = stdin.Close()
	_ = cmd.Wait() // it ends with an error, as its input did
	if id.alive() {
		t.Error("it is alive after its end was waited for")
	}
}
