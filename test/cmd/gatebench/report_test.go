package main

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make(times, 0, 100)
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for name, row := range map[string]struct {
		of      times
		percent float64
		want    time.Duration
	}{
		"the middle of a hundred":         {hundred, 50, 50},
		"the last but one of a hundred":   {hundred, 99, 99},
		"all of a hundred":                {hundred, 100, 100},
		"the least of a hundred":          {hundred, 0, 1},
		"of five the middle":              {times{5, 1, 4, 2, 3}, 50, 3},
		"of five the 99th is the largest": {times{5, 1, 4, 2, 3}, 99, 5},
		"of one":                          {times{7}, 50, 7},
		"of none":                         {nil, 50, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := row.of.p(row.percent); got != row.want {
				t.Errorf("it is %d, want %d", got, row.want)
			}
		})
	}
	if hundred[0] != 100 {
		t.Error("the values were sorted in place")
	}
}

func TestMedian(t *testing.T) {
	for _, row := range []struct {
		of   []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}, {[]float64{1.5}, 1.5}, {nil, 0}} {
		if got := median(row.of); got != row.want {
			t.Errorf("of %v it is %v, want %v", row.of, got, row.want)
		}
	}
}

func TestTableAlignsColumns(t *testing.T) {
	var table table
	table.row("round", "p50 ms")
	table.row(1, ms(1234567*time.Nanosecond))
	table.row(10, ms(12*time.Second))
	const want = "  round    p50 ms\n      1      1.23\n     10  12000.00\n"
	if got := table.String(); got != want {
		t.Errorf("it is\n%swant\n%s", got, want)
	}
}

// Property: a goal that is missed is never told as met, and what could not be measured is missed.
func TestGoals(t *testing.T) {
	for name, row := range map[string]struct {
		measured float64
		met      bool
		says     string
	}{
		"below the limit":  {1.05, true, "met     it: goal at most 1.1 ms, measured 1.05 ms (a note)\n"},
		"at the limit":     {1.1, true, "met     it: goal at most 1.1 ms, measured 1.1 ms (a note)\n"},
		"above the limit":  {1.2, false, "MISSED  it: goal at most 1.1 ms, measured 1.2 ms (a note)\n"},
		"nothing measured": {math.NaN(), false, "MISSED  it: goal at most 1.1 ms, measured nothing (a note)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := report{out: &out}
			r.judge("other", "", 1, 0)
			r.judge("it", " ms", 1.1, row.measured, "a note")
			if got := r.conclude(); got != row.met {
				t.Errorf("all goals are met: %v, want %v", got, row.met)
			}
			if want := "\nmet     other: goal at most 1, measured 0\n" + row.says; out.String() != want {
				t.Errorf("it says %q, want %q", out.String(), want)
			}
		})
	}
}
