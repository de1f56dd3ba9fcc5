package compare

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTable writes what a person reads. The report must be summarised.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintf(t, "Image\t%s\n", r.Image)
	fmt.Fprintf(t, "Pipeline\tthat of ImageTrigger %s\n", r.Trigger)
	fmt.Fprintf(t, "Node\t%s\n", r.Node)
	for i := range r.Classes {
		c := &r.Classes[i]
		fmt.Fprintf(t, "Class\t%s\n", c)
	}
	for _, state := range []State{Warm, Cold} {
		r.writeState(t, state)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for _, note := range r.Notes {
		if _, err := fmt.Fprintf(w, "\n%s\n", note); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}

// writeState writes the part of one state, if there were such runs.
func (r *Report) writeState(w io.Writer, state State) {
	last := &r.Classes[len(r.Classes)-1]
	count := 0
	for i := range last.Runs {
		if last.Runs[i].State == state {
			count++
		}
	}
	if count == 0 {
		return
	}
	runs := "1 run"
	if count > 1 {
		runs = fmt.Sprintf("%d runs", count)
	}
	header := []string{fmt.Sprintf("%s, %s each", strings.ToUpper(string(state)), runs)}
	for i := range r.Classes {
		header = append(header, strings.ToUpper(r.Classes[i].Name))
	}
	for i := range r.Classes[:len(r.Classes)-1] {
		header = append(header, strings.ToUpper(r.Classes[i].Name+" : "+last.Name))
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(header, "\t"))
	for _, m := range measures {
		row := []string{m.title}
		for i := range r.Classes {
			s, known := r.Classes[i].Summary[state][m.name]
			row = append(row, m.cell(s, known))
		}
		for i := range r.Classes[:len(r.Classes)-1] {
			row = append(row, ratio(r.Classes[i].Summary[state], last.Summary[state], m.name))
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
}

// cell is the median, with the least and the most.
func (m measure) cell(s Spread, known bool) string {
	if !known {
		return "unknown"
	}
	unit, size := m.unit(s.Median)
	return fmt.Sprintf("%s %s (%s-%s)", figure(s.Median/size), unit, figure(s.Least/size), figure(s.Most/size))
}

func ratio(of, to map[string]Spread, name string) string {
	a, known := of[name]
	b, alsoKnown := to[name]
	if !known || !alsoKnown || b.Median == 0 {
		return "-"
	}
	return figure(a.Median / b.Median)
}

// String says what a class is.
func (c *Class) String() string {
	if c.Handler == "" {
		return c.Name + ": the runtime that Pods have without a RuntimeClass"
	}
	s := fmt.Sprintf("%s: handler %s", c.Name, c.Handler)
	if c.Handler == "runsc" {
		s += " (gVisor)"
	}
	if len(c.Overhead) == 0 {
		return s + ", no overhead declared"
	}
	var parts []string
	for _, resource := range slices.Sorted(maps.Keys(c.Overhead)) {
		parts = append(parts, c.Overhead[resource]+" "+resource)
	}
	return s + ", with a declared overhead of " + strings.Join(parts, " and ") + " for each Pod"
}

// String says what a node is.
func (n Node) String() string {
	memory := measure{bytes: true}
	unit, size := memory.unit(float64(n.MemoryBytes))
	return fmt.Sprintf("%s: %d CPUs, %s %s, Linux %s, %s, cgroup v%d",
		n.Name, n.CPUs, figure(float64(n.MemoryBytes)/size), unit, n.KernelVersion, n.ContainerRuntime, n.CgroupVersion)
}
