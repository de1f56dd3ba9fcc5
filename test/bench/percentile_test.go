package bench

import (
	"slices"
	"testing"
	"time"
)

// percentile is the smallest of the values that so many percent do not exceed.
func percentile[T any](all []T, percent int, value func(T) time.Duration) time.Duration {
	values := make([]time.Duration, len(all))
	for i, v := range all {
		values[i] = value(v)
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[(len(values)*percent+99)/100-1]
}

func TestPercentileIsTheSmallestValueThatSoManyDoNotExceed(t *testing.T) {
	var values []time.Duration
	for n := range 300 {
		values = append(values, time.Duration(300-n)*time.Millisecond)
	}
	for percent, want := range map[int]time.Duration{1: 3 * time.Millisecond, 50: 150 * time.Millisecond, 99: 297 * time.Millisecond, 100: 300 * time.Millisecond} {
		if got := percentile(values, percent, func(d time.Duration) time.Duration { return d }); got != want {
			t.Errorf("p%d of 1 ms to 300 ms is %s, want %s", percent, got, want)
		}
	}
}
