package filter

import (
	"runtime"
	"strings"
	"testing"
)

// Whoever edits a namespace writes filters there, and the controller of all namespaces compiles
// them, and keeps some. An expression of a few hundred bytes took many seconds, or tens of
// megabytes.
func TestWhatAFilterTakesIsBounded(t *testing.T) {
	lists := strings.Repeat("[", 120) + "1" + strings.Repeat("]", 120)
	for _, test := range []struct {
		name, expression, want string
	}{
		{"many terms", strings.Repeat("image.size > 1 || ", 200) + "true", ""},
		{"what people write", "(image.tags.exists(t, t.matches('^v[0-9]{1,4}([.][0-9]{1,4}){0,2}$')) || !(image.size > 1000)) && image.repository.startsWith('a/')", ""},
		{"lists in lists", lists + " == " + lists, "recursion limit"},
		{"many loops", strings.Repeat("[1].map(a, a) == [] || ", 150) + "true", "macros"},
		{"loops in loops", strings.Repeat("[1].map(a, ", 100) + "1" + strings.Repeat(")", 100) + ".size() > 0", "recursion limit"},
		{"a long regular expression", "image.repository.matches('" + strings.Repeat("x{1000}", 500) + "')", "steps"},
		{"one that repeats what repeats", "image.repository.matches('" + strings.Repeat("((x{30}){30})", 100) + "')", "steps"},
		{"several of them", strings.Repeat("'x'.matches('x{1000}') || ", 100) + "true", "steps"},
		{"one that is not constant", "image.repository.matches(image.tags[0])", "not constant"},
		{"one that is put together", "image.repository.matches('x{1000}' + 'x{1000}')", "not constant"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Compile(test.expression)
			runtime.ReadMemStats(&after)
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %.300v; want %q", err, test.want)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 16 {
				t.Errorf("it took %d MiB", took)
			}
		})
	}
}
