package imageverification

import (
	"github.com/revet-dev/revet/pkg/fair"
	"github.com/revet-dev/revet/pkg/filter"
)

const (
	// maxFilters bounds how many compiled filters are kept, and maxFiltersEach how many of one
	// namespace.
	maxFilters     = 1024
	maxFiltersEach = 128
)

// filters keeps compiled filters by namespace and expression. Compiling one takes milliseconds,
// and most entries share a few.
type filters struct {
	compiled *fair.Kept[string, compiled]
}

type compiled struct {
	filter *filter.Filter
	err    error
}

func newFilters() *filters {
	return &filters{fair.NewKept[string, compiled](maxFilters, maxFiltersEach)}
}

func (f *filters) get(namespace, expression string) (*filter.Filter, error) {
	c, ok := f.compiled.Get(namespace, expression)
	if !ok {
		c.filter, c.err = filter.Compile(expression)
		f.compiled.Put(namespace, expression, c)
	}
	return c.filter, c.err
}
