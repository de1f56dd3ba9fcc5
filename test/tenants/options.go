//go:build linux

package tenants

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options of a run.
type Options struct {
	// Root is the folder of this checkout, and Tree that of the one whose programs and
	// manifests are measured.
	Root, Tree string
	// Dir receives programs, and the data of one case at a time.
	Dir string
	// Out receives progress and the table.
	Out io.Writer `json:"-"`
	// Cases are names of cases; none is all.
	Cases []string
	// Pushes is how many are measured alone, and as many under attack.
	Pushes int
	// Scale divides the sizes of the attacks, for a short run.
	Scale int
	// Patience is how long a push may take.
	Patience time.Duration
}

// DefaultOptions are those of "make tenants".
func DefaultOptions() Options { return Options{Pushes: 10, Scale: 1, Patience: 15 * time.Second} }

// mostPushes leaves the victim's runs, none of which ends, within the part of the slots that no
// one else takes.
const mostPushes = 12

func (o Options) validate() error {
	switch {
	case o.Root == "" || o.Tree == "" || o.Dir == "" || o.Out == nil:
		return errors.New("tenants: Root, Tree, Dir or Out is empty")
	case o.Pushes < 1 || o.Pushes > mostPushes:
		return fmt.Errorf("tenants: %d pushes is not between 1 and %d", o.Pushes, mostPushes)
	case o.Scale < 1 || o.Patience <= 0:
		return fmt.Errorf("tenants: scale %d or patience %s is not positive", o.Scale, o.Patience)
	}
	for _, name := range o.Cases {
		if !slices.ContainsFunc(hazards, func(h hazard) bool { return h.named(name) }) {
			return fmt.Errorf("tenants: no case is called %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	return nil
}

// selected are the cases that the options name.
func (o Options) selected() []hazard {
	if len(o.Cases) == 0 {
		return hazards
	}
	return slices.DeleteFunc(slices.Clone(hazards), func(h hazard) bool {
		return !slices.ContainsFunc(o.Cases, h.named)
	})
}

// of is a size of an attack.
func (o Options) of(size int) int { return max(size/o.Scale, 1) }
