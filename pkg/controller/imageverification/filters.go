package imageverification

import (
	"sync"

	"github.com/revet-dev/revet/pkg/filter"
)

// maxFilters bounds how many compiled filters are kept.
const maxFilters = 1024

// filters keeps compiled filters by their expression. Compiling one takes milliseconds, and
// most entries share a few.
type filters struct {
	mu       sync.Mutex
	compiled map[string]compiled
}

type compiled struct {
	filter *filter.Filter
	err    error
}

func newFilters() *filters { return &filters{compiled: map[string]compiled{}} }

func (f *filters) get(expression string) (*filter.Filter, error) {
	f.mu.Lock()
	c, ok := f.compiled[expression]
	f.mu.Unlock()
	if ok {
		return c.filter, c.err
	}
	c.filter, c.err = filter.Compile(expression)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.compiled) >= maxFilters {
		clear(f.compiled)
	}
	f.compiled[expression] = c
	return c.filter, c.err
}
