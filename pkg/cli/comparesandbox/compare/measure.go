package compare

import (
	"fmt"
	"math"
	"slices"
)

// measure is one thing that classes are compared by.
type measure struct {
	// name is its JSON name in Run.
	name, title string
	bytes       bool
	of          func(*Run) *float64
}

var measures = []measure{
	{"wholeSeconds", "whole run", false, func(r *Run) *float64 { return &r.WholeSeconds }},
	{"setUpSeconds", "set-up of a Pod", false, func(r *Run) *float64 { return r.SetUpSeconds }},
	{"pullSeconds", "pulling images", false, func(r *Run) *float64 { return r.PullSeconds }},
	{"stepsSeconds", "steps of all Pods", false, func(r *Run) *float64 { return r.StepsSeconds }},
	{"cpuSeconds", "CPU time", false, func(r *Run) *float64 { return r.CPUSeconds }},
	{"peakMemoryBytes", "peak memory of a Pod", true, func(r *Run) *float64 { return r.PeakMemoryBytes }},
	{"diskReadBytes", "read from disk", true, func(r *Run) *float64 { return r.DiskReadBytes }},
	{"diskWrittenBytes", "written to disk", true, func(r *Run) *float64 { return r.DiskWrittenBytes }},
	{"receivedBytes", "received", true, func(r *Run) *float64 { return r.ReceivedBytes }},
	{"sentBytes", "sent", true, func(r *Run) *float64 { return r.SentBytes }},
}

// values are those of the class's runs of a state; none if one of them lacks it, as
// a part would be compared with a whole.
func (c *Class) values(state State, m measure) []float64 {
	var values []float64
	for i := range c.Runs {
		if c.Runs[i].State != state {
			continue
		}
		v := m.of(&c.Runs[i])
		if v == nil {
			return nil
		}
		values = append(values, *v)
	}
	return values
}

// together joins what the Pods have; nil if one of them lacks it.
func together(pods []Pod, join func([]float64) float64, of func(*Pod) *float64) *float64 {
	var values []float64
	for i := range pods {
		v := of(&pods[i])
		if v == nil {
			return nil
		}
		values = append(values, *v)
	}
	if len(values) == 0 {
		return nil
	}
	joined := join(values)
	return &joined
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

func mean(values []float64) float64 { return sum(values) / float64(len(values)) }

func most(values []float64) float64 { return slices.Max(values) }

func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Least: sorted[0], Most: sorted[n-1]}
}

// unit returns the unit in which values up to top are told, and its size.
func (m measure) unit(top float64) (name string, size float64) {
	if !m.bytes {
		return "s", 1
	}
	name, size = "B", 1
	for _, next := range []string{"KiB", "MiB", "GiB"} {
		if top < 1024*size {
			break
		}
		name, size = next, size*1024
	}
	return name, size
}

// figure writes a value with three digits that count.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// niceTop is the end of an axis: the least of 1, 2, 2.5 and 5 times a power of ten
// that is not below v.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}
