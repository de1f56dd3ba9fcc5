package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// A program that needs a process of its own for what has no program, such as an API server that
// it kills, starts itself again in a role: an environment variable holds the role in JSON.

// RoleEnvironment is the variable with a role, as KEY=value.
func RoleEnvironment(variable string, role any) (string, error) {
	encoded, err := json.Marshal(role)
	return variable + "=" + string(encoded), err
}

// ServeRole does what the process was started for, until SIGTERM, and returns the status to exit
// with. It says no if the variable holds no role.
func ServeRole[R any](variable string, serve func(context.Context, R) error) (code int, isRole bool) {
	encoded := os.Getenv(variable)
	if encoded == "" {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var role R
	err := json.Unmarshal([]byte(encoded), &role)
	if err == nil {
		err = serve(ctx, role)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", variable, err)
		return 1, true
	}
	return 0, true
}
