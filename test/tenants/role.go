//go:build linux

package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/revet-dev/revet/test/rig"
)

// roleVariable says which case a process measures. Each has one of its own, as an API server that
// was stopped leaves something running in its process.
const roleVariable = "REVET_TENANTS_ROLE"

// role is what a process of the harness measures, and with what.
type role struct {
	Options  Options
	Programs rig.Programs
	Case     string
}

// result is what came of it.
type result struct {
	Rows  []row
	Notes []string
	Error string
}

// file is where the process leaves its result, in the folder of the options.
func (r role) file() string { return filepath.Join(r.Options.Dir, r.Case+".json") }

// Role does what the process was started for. It says no if that is no role of the harness.
func Role() (code int, isRole bool) {
	return rig.ServeRole(roleVariable, func(ctx context.Context, r role) error {
		var done result
		n := slices.IndexFunc(hazards, func(h hazard) bool { return h.name == r.Case })
		if n < 0 {
			return fmt.Errorf("no case is called %q", r.Case)
		}
		var err error
		if done.Rows, done.Notes, err = hazards[n].measure(ctx, r.Options, r.Programs); err != nil {
			done.Error = err.Error()
		}
		content, err := json.Marshal(done)
		if err != nil {
			return err
		}
		return os.WriteFile(r.file(), content, 0o600)
	})
}

// measured starts this program in the role, and returns what it left.
func (r role) measured(ctx context.Context) result {
	done, err := r.run(ctx)
	if err != nil {
		return result{Error: err.Error()}
	}
	return done
}

func (r role) run(ctx context.Context) (done result, err error) {
	self, err := os.Executable()
	if err != nil {
		return done, err
	}
	environment, err := rig.RoleEnvironment(roleVariable, r)
	if err != nil {
		return done, err
	}
	p, err := rig.Program{Name: r.Case, Path: self, Env: []string{environment}}.Start()
	if err != nil {
		return done, err
	}
	defer p.Stop()
	select {
	case <-p.Ended():
	case <-ctx.Done():
		return done, ctx.Err()
	}
	content, err := os.ReadFile(r.file())
	if err != nil {
		return done, fmt.Errorf("%w; the end of what the process printed:\n%s", err, p.Tail())
	}
	return done, json.Unmarshal(content, &done)
}
