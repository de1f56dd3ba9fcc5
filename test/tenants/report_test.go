//go:build linux

package tenants

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func took(missed int, milliseconds ...int) times {
	t := times{Missed: missed}
	for _, ms := range milliseconds {
		t.add(time.Duration(ms) * time.Millisecond)
	}
	return t
}

// Property: a bound is kept only if everything that was measured kept it, alone and under attack.
func TestBounds(t *testing.T) {
	for _, test := range []struct {
		name string
		row  row
		want bool
	}{
		{"each in time", row{Alone: took(0, 20), Attacked: took(0, 20, 1000), Within: time.Second}, true},
		{"one is late", row{Alone: took(0, 20), Attacked: took(0, 20, 20, 1001), Within: time.Second}, false},
		{"one is missed", row{Alone: took(0, 20), Attacked: took(1, 20, 20), Within: time.Second}, false},
		{"the median is twice as long", row{Alone: took(0, 90, 100, 500), Attacked: took(0, 1, 200, 9000)}, true},
		{"the median is longer", row{Alone: took(0, 90, 100, 500), Attacked: took(0, 1, 201, 202)}, false},
		{"one is missed, and the median is short", row{Alone: took(0, 100), Attacked: took(1, 1, 1, 1)}, false},
		{"nothing was measured", row{Alone: took(0, 100)}, false},
		{"nothing was measured alone", row{Attacked: took(0, 100), Within: time.Second}, false},
		{"something was missed alone", row{Alone: took(1, 100), Attacked: took(0, 100)}, false},
		{"what took no time is missed", row{Alone: took(0, 100), Attacked: took(0, 100, 0)}, false},
	} {
		if got := test.row.kept(); got != test.want {
			t.Errorf("%s: kept is %t, want %t", test.name, got, test.want)
		}
		if got := table(io.Discard, []row{{Alone: took(0, 1), Attacked: took(0, 1)}, test.row}); got != test.want {
			t.Errorf("%s: the table says %t, want %t", test.name, got, test.want)
		}
	}
}

func TestTableSaysWhatWasMeasured(t *testing.T) {
	var out bytes.Buffer
	table(&out, []row{
		{Hazard: "D1", What: "push to record", Alone: took(0, 20, 30, 40), Attacked: took(3), Within: time.Second},
		{Hazard: "D1", What: "push to run", Alone: took(0, 100), Attacked: took(0, 150)},
	})
	for _, want := range []string{"30 ms / 40 ms", "-, 3 missed", "each 1000 ms", "MISSED", "1.50", "median 200 ms", "kept"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

// Each case is found by its name, and by that of its kind.
func TestCasesAreSelected(t *testing.T) {
	o := DefaultOptions()
	o.Root, o.Tree, o.Dir, o.Out = ".", ".", ".", io.Discard
	for list, want := range map[string]string{
		"":            strings.Join(names(), " "),
		"D3":          "D3 D3-triggers",
		"D3-triggers": "D3-triggers",
		"D10 D1":      "D1 D10",
	} {
		o.Cases = strings.Fields(list)
		var got []string
		for _, h := range o.selected() {
			got = append(got, h.name)
		}
		if err := o.validate(); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q selects %q, %v; want %q", list, got, err, want)
		}
	}
	o.Cases = []string{"D"}
	if o.validate() == nil {
		t.Error("a name that no case has is taken")
	}
}
