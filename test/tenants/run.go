//go:build linux

package tenants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// Run measures the cases, each in a process of its own, and prints a table. It reports whether all
// were measured and all bounds kept; its error is the harness's own.
func Run(ctx context.Context, o Options) (kept bool, err error) {
	if err := o.validate(); err != nil {
		return false, err
	}
	programs := filepath.Join(o.Dir, "bin")
	if err := os.MkdirAll(programs, 0o750); err != nil {
		return false, err
	}
	built, err := rig.Build(ctx, o.Tree, programs)
	if err != nil {
		return false, err
	}
	var all []row
	kept = true
	for _, h := range o.selected() {
		_, _ = fmt.Fprintf(o.Out, "%s: %s\n", h.name, h.what)
		r := role{Options: o, Programs: built, Case: h.name}.measured(ctx)
		for _, line := range r.Notes {
			_, _ = fmt.Fprintf(o.Out, "  %s\n", line)
		}
		for _, one := range r.Rows {
			_, _ = fmt.Fprintf(o.Out, "  %s\n", one)
		}
		if r.Error != "" {
			_, _ = fmt.Fprintf(o.Out, "  NOT MEASURED: %s\n", r.Error)
			kept = false
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		all = append(all, r.Rows...)
	}
	return table(o.Out, all) && kept, nil
}

// figures are what is measured of a victim, alone or under attack.
type figures struct{ recorded, ran, swept, started times }

// measure measures a case in a cluster of its own.
func (h hazard) measure(ctx context.Context, o Options, programs rig.Programs) (rows []row, notes []string, err error) {
	b, err := newBed(ctx, o, programs)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }() //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
	rows, err = h.on(ctx, b)
	return rows, b.notes, err
}

func (h hazard) on(ctx context.Context, b *bed) (rows []row, err error) {
	interval := noSweeps
	if h.sweeps {
		interval = sweepInterval
	}
	if err := b.startRevet(ctx, interval); err != nil {
		return nil, err
	}
	v, err := b.newVictim(ctx)
	if err != nil {
		return nil, err
	}
	var swept *v1alpha1.ImageTrigger
	if h.sweeps {
		if swept, err = v.sweptRegistry(ctx); err != nil {
			return nil, err
		}
	}
	alone, err := h.figures(ctx, v, swept)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := h.attack(ctx, b); err != nil {
		return nil, fmt.Errorf("attacking: %w\n%s", err, b.tail())
	}
	b.note("the attack took %s to set up", time.Since(began).Round(time.Second))
	attacked, err := h.figures(ctx, v, swept)
	if err != nil {
		return nil, err
	}
	return h.rows(alone, attacked), nil
}

func (h hazard) figures(ctx context.Context, v *victim, swept *v1alpha1.ImageTrigger) (f figures, err error) {
	if h.starts {
		took, err := v.restartReceiver(ctx)
		if err != nil {
			return f, err
		}
		f.started.add(took)
	}
	if f.recorded, f.ran, err = v.pushes(ctx, v.options.Pushes); err != nil {
		return f, err
	}
	if h.sweeps {
		f.swept, err = v.swept(ctx, swept)
	}
	return f, err
}

// The bounds.
const (
	recordedWithin = time.Second
	readyWithin    = 3 * time.Second
	timesAlone     = 2
)

func (h hazard) rows(alone, attacked figures) []row {
	rows := []row{
		{Hazard: h.name, What: "push to record", Alone: alone.recorded, Attacked: attacked.recorded, Within: recordedWithin},
		{Hazard: h.name, What: "push to run", Alone: alone.ran, Attacked: attacked.ran},
	}
	if h.sweeps {
		rows = append(rows, row{Hazard: h.name, What: "sweep to sweep", Alone: alone.swept, Attacked: attacked.swept})
	}
	if h.starts {
		start := row{Hazard: h.name, What: "receiver's start", Alone: alone.started, Attacked: attacked.started, Within: readyWithin}
		rows = append(rows, start)
	}
	return rows
}
