package coverage

import (
	"context"
	"sync"

	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
)

// presume is a Cluster that presumes that an account may see what nobody could ask about:
// then no gap is hidden. What it presumed makes the triggers of the account not known.
type presume struct {
	sweep.Cluster

	mu      sync.Mutex
	unasked map[source.Account]error
}

// MayGet implements sweep.Cluster.
func (p *presume) MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	allowed, err := p.Cluster.MayGet(ctx, account, namespace, name)
	if err == nil {
		return allowed, nil
	}
	if namespace == "" {
		return false, nil // it is asked about each namespace next
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unasked == nil {
		p.unasked = map[source.Account]error{}
	}
	p.unasked[account] = err
	return true, nil
}

// presumed returns why nobody could ask about an account; nil if somebody could.
func (p *presume) presumed(account source.Account) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unasked[account]
}
