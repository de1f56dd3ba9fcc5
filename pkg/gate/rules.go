package gate

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// Defaults for fields that the API server did not fill in.
const (
	defaultMaxAge = 168 * time.Hour
	// RanFor is how long a digest counts as one that ran here, after it was last seen.
	RanFor = 30 * 24 * time.Hour
)

// Rules are what a gate asks of a verdict. The zero value trusts nobody.
type Rules struct {
	trust          map[v1alpha1.TrustedTrigger]bool
	checks         []string
	sandboxed      bool
	platforms      []string // normalised
	databaseMaxAge time.Duration
	maxAge         time.Duration
	onExpired      v1alpha1.ExpiredPolicy
}

// RulesOf returns the rules of a gate.
func RulesOf(g *v1alpha1.ImageGate) (Rules, error) {
	r := Rules{
		trust:  map[v1alpha1.TrustedTrigger]bool{},
		checks: g.Spec.Require.Checks, sandboxed: g.Spec.Require.Sandboxed,
		maxAge: g.Spec.MaxAge.Duration, onExpired: g.Spec.OnExpired,
	}
	for _, t := range g.Spec.Trust {
		r.trust[t] = true
	}
	if r.maxAge <= 0 {
		r.maxAge = defaultMaxAge
	}
	if r.onExpired == "" {
		r.onExpired = v1alpha1.ExpiredWarn
	}
	if limit := g.Spec.Require.DatabaseMaxAge; limit != nil {
		if limit.Duration <= 0 {
			return Rules{}, fmt.Errorf("spec.require.databaseMaxAge is %s; it has to be positive", limit.Duration)
		}
		r.databaseMaxAge = limit.Duration
	}
	for _, p := range g.Spec.Require.Platforms {
		normal, ok := platform(p)
		if !ok {
			return Rules{}, fmt.Errorf("spec.require.platforms has %q; write os/architecture or os/architecture/variant", p)
		}
		r.platforms = append(r.platforms, normal)
	}
	return r, nil
}

// MaxAge is how old a verdict may be.
func (r Rules) MaxAge() time.Duration { return r.maxAge }

// Trusts reports whether entries of the trigger count.
func (r Rules) Trusts(namespace, trigger string) bool {
	return r.trust[v1alpha1.TrustedTrigger{Namespace: namespace, Trigger: trigger}]
}

// platform normalises os/architecture[/variant] as runtimes do for comparison.
func platform(s string) (string, bool) {
	p, ok := image.ParsePlatform(s)
	if !ok {
		return "", false
	}
	return p.Normalize().String(), true
}
