package filter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/filter"
)

// Whatever a filter says: it compiles and is evaluated in bounded time, it never
// both fails and matches, and it sees no label but those that it names.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"image.labels['tier'] == 'prod'", "has(image.labels.team) || 'a.b/c' in image.labels", "image.tags.exists(t, t.startsWith('v'))",
		"image.size > 100 && image.created > timestamp('2026-01-01T00:00:00Z')", "image.tags[7] == 'x'", "1/0 == 1", "image.labels.size() > 0",
		"image.digest.matches('(a*)*b')", "[1,2,3].all(a, [1,2,3].all(b, [1,2,3].all(c, a+b+c > 0)))",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		const allowed = 5 * time.Second // instrumented code on a busy machine
		start := time.Now()
		compiled, err := filter.Compile(expression)
		if took := time.Since(start); took > allowed {
			t.Errorf("compiling %d bytes took %v", len(expression), took)
		}
		if err != nil {
			if compiled != nil {
				t.Errorf("a filter beside the error %v", err)
			}
			return
		}
		entry, facts := pushed()
		start = time.Now()
		got, err := compiled.Evaluate(entry, facts)
		if took := time.Since(start); took > allowed {
			t.Errorf("evaluating took %v", took)
		}
		if err != nil && got.Matches {
			t.Errorf("it matches beside the error %v", err)
		}
		if err == nil && !got.Matches && got.Message == "" {
			t.Error("it does not match, and does not say why")
		}
		named := map[string]string{}
		for _, label := range compiled.Labels() {
			if value, ok := facts.Labels[label]; ok {
				named[label] = value
			}
		}
		facts.Labels = named
		again, againErr := compiled.Evaluate(entry, facts)
		if diff := cmp.Diff(got, again); diff != "" || (err == nil) != (againErr == nil) {
			t.Errorf("with the labels that it names only (-all +named):\n%s%v, %v", diff, err, againErr)
		}
	})
}
