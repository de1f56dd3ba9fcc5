package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	// tektons is the name of Tekton's program, in the folder of this one.
	tektons = "tekton-entrypoint"
	// readable is Tekton's mode of the copy, and permission to read.
	readable = 0o755
)

func main() {
	self, err := os.Executable()
	if err == nil {
		err = run(filepath.Join(filepath.Dir(self), tektons), os.Args)
	}
	exit := &exec.ExitError{}
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode()) // it has said why itself
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "entrypoint: %v\n", err)
		os.Exit(1)
	}
}

// run does what args ask for with Tekton's program at the path real. It returns only if that was "init", or went wrong.
func run(real string, args []string) error {
	if len(args) < 4 || args[1] != "init" {
		return fmt.Errorf("starting %q: %w", real, syscall.Exec(real, append([]string{real}, args[1:]...), os.Environ()))
	}
	target := args[3]
	initialise := exec.Command(real, append([]string{"init", real, target}, args[4:]...)...)
	initialise.Stdout, initialise.Stderr = os.Stdout, os.Stderr
	if err := initialise.Run(); err != nil {
		return fmt.Errorf("running %q: %w", real, err)
	}
	if err := os.Chmod(target, readable); err != nil {
		return fmt.Errorf("making the entrypoint readable: %w", err)
	}
	return nil
}
