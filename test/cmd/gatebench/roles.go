//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/rig"
)

// This program starts itself again in a role for what it has no other program for: the variable says which.
const roleVariable = "REVET_GATEBENCH_ROLE"

const (
	roleEtcd      = "etcd"
	roleAPIServer = "API server"
)

// startPatience is how long a program may take until it serves.
const startPatience = 2 * time.Minute

// role is what a process of this program is.
type role struct {
	Name string
	// Dir keeps its data.
	Dir string
	// Etcd is the client URL of the API server's etcd.
	Etcd string
	// Durable makes etcd sync to the disk.
	Durable  bool
	Mutating bool
	CRDDirs  []string
}

// ready is the file that holds the role's address once it serves.
func (r role) ready() string {
	return filepath.Join(r.Dir, strings.ReplaceAll(r.Name, " ", "-")+".ready")
}

// serveRole does what the process was started for, until SIGTERM. It says no if that is no role.
func serveRole() (code int, isRole bool) {
	return rig.ServeRole(roleVariable, func(ctx context.Context, r role) error {
		if err := r.serve(ctx); err != nil {
			return fmt.Errorf("the %s: %w", r.Name, err)
		}
		return nil
	})
}

func (r role) serve(ctx context.Context) error {
	switch r.Name {
	case roleEtcd:
		url, stop, err := fast.StartEtcd(ctx, r.Dir, r.Durable)
		if err != nil {
			return err
		}
		defer stop()
		return r.until(ctx, url)
	case roleAPIServer:
		crds, err := rig.CRDs(r.CRDDirs...)
		if err != nil {
			return err
		}
		c, err := fast.Start(ctx, fast.Options{Dir: r.Dir, Etcd: r.Etcd, CRDs: crds, MutatingPolicies: r.Mutating})
		if err != nil {
			return err
		}
		debug.SetGCPercent(heapGrowth)
		return errors.Join(r.until(ctx, c.RESTConfig().Host), c.Stop()) //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
	default:
		return fmt.Errorf("no role is called %q", r.Name)
	}
}

// heapGrowth is Go's default, with which API servers run. Tests let the heap grow further
// before it is collected, which shows in what the process holds.
const heapGrowth = 100

// until says where the role serves, and waits until it is asked to end.
func (r role) until(ctx context.Context, address string) error {
	unfinished := r.ready() + ".new"
	if err := os.WriteFile(unfinished, []byte(address), 0o600); err != nil {
		return err
	}
	if err := os.Rename(unfinished, r.ready()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// start starts a process in the role, and returns its address once it serves.
func (r role) start(ctx context.Context) (*rig.Process, string, error) {
	environment, err := rig.RoleEnvironment(roleVariable, r)
	if err != nil {
		return nil, "", err
	}
	itself, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, err := rig.Program{Name: "the " + r.Name, Path: itself, Env: []string{environment}}.Start()
	if err != nil {
		return nil, "", err
	}
	var address []byte
	err = await(ctx, "the "+r.Name+" serves", func(context.Context) error {
		select {
		case <-p.Ended():
			return final{fmt.Errorf("it has ended:\n%s", p.Tail())}
		default:
		}
		address, err = os.ReadFile(r.ready())
		return err
	})
	if err != nil {
		p.Stop()
		return nil, "", err
	}
	return p, string(address), nil
}

// final is an error that no waiting mends.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// await polls until the condition gives no error.
func await(ctx context.Context, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if errors.As(err, &final{}) {
			return fmt.Errorf("waiting until %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
