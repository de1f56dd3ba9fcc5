package coverage

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/coverage"
)

// printCoverage prints a line for each trigger, and below what is wrong.
func printCoverage(w io.Writer, reports []coverage.Report, namespaces bool) error {
	verified := reports[0].Verified
	header := []string{"TRIGGER", "PUSHES", "COVERED", "PENDING", "FAILED", "SKIPPED", "RECOVERED", "GAP", "ARTEFACTS"}
	if verified {
		header = append(header, "DOUBLED")
	}
	if namespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	line(t, header)
	for i := range reports {
		line(t, coverageRow(&reports[i], namespaces))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, print := range []func(io.Writer, []coverage.Report, bool) error{printUncovered, printDoubled, printUnknown, printExempt} {
		if err := print(w, reports, namespaces); err != nil {
			return err
		}
	}
	return nil
}

// line prints the cells of one line of a table.
func line(w io.Writer, cells []string) {
	for i := range cells {
		cells[i] = command.Printable(cells[i])
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

func coverageRow(r *coverage.Report, namespaces bool) []string {
	number := func(n int) string { return fmt.Sprint(n) }
	shown := number
	if r.AsOf == nil {
		shown = func(int) string { return "-" } // nobody has looked
	}
	cells := []string{r.Trigger, shown(r.Pushes), shown(r.Covered), number(r.Pending), number(r.Failed), number(r.Skipped), number(r.Recovered), shown(r.Gap), shown(r.Artefacts)}
	if r.Verified {
		cells = append(cells, number(r.Doubled))
	}
	if namespaces {
		cells = append([]string{r.Namespace}, cells...)
	}
	return cells
}

// named is a trigger's name, with its namespace where there are several.
func named(r *coverage.Report, namespaces bool) string {
	if namespaces {
		return r.Namespace + "/" + r.Trigger
	}
	return r.Trigger
}

func printUncovered(w io.Writer, reports []coverage.Report, namespaces bool) error {
	if !slices.ContainsFunc(reports, func(r coverage.Report) bool { return r.Gap > 0 }) {
		return nil
	}
	if !reports[0].Verified {
		_, err := fmt.Fprintln(w, "\nWith --verify, the pushes that are not covered are listed.")
		return err
	}
	fmt.Fprintln(w, "\nNot covered:")
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	line(t, []string{"TRIGGER", "TAG", "DIGEST", "PUSHED", "WHY"})
	for i := range reports {
		for _, u := range reports[i].Uncovered {
			pushed := "-"
			if u.PushedAt != nil {
				pushed = u.PushedAt.UTC().Format(command.SecondLayout)
			}
			line(t, []string{named(&reports[i], namespaces), u.Repository + ":" + u.Tag, u.Digest, pushed, because(string(u.Reason), u.Message)})
		}
	}
	return t.Flush()
}

func printDoubled(w io.Writer, reports []coverage.Report, namespaces bool) error {
	if !slices.ContainsFunc(reports, func(r coverage.Report) bool { return r.Doubled > 0 }) {
		return nil
	}
	fmt.Fprintln(w, "\nDoubled:")
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	line(t, []string{"TRIGGER", "ENTRY", "PIPELINERUN", "WHY"})
	for i := range reports {
		for _, d := range reports[i].DoubledRuns {
			line(t, []string{named(&reports[i], namespaces), d.Entry, d.PipelineRun, d.Message})
		}
	}
	return t.Flush()
}

func printUnknown(w io.Writer, reports []coverage.Report, namespaces bool) error {
	if !slices.ContainsFunc(reports, func(r coverage.Report) bool { return len(r.Unknown) > 0 }) {
		return nil
	}
	fmt.Fprintln(w, "\nNot known:")
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	line(t, []string{"TRIGGER", "WHAT"})
	for i := range reports {
		for _, u := range reports[i].Unknown {
			line(t, []string{named(&reports[i], namespaces), command.OneLine(u)})
		}
	}
	return t.Flush()
}

func printExempt(w io.Writer, reports []coverage.Report, namespaces bool) error {
	if !slices.ContainsFunc(reports, func(r coverage.Report) bool { return len(r.Exempt) > 0 }) {
		return nil
	}
	fmt.Fprintln(w, "\nArtefacts, which cannot run:")
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	line(t, []string{"TRIGGER", "TAG", "DIGEST", "WHY"})
	for i := range reports {
		for _, e := range reports[i].Exempt {
			line(t, []string{named(&reports[i], namespaces), e.Repository + ":" + e.Tag, e.Digest, string(e.Reason)})
		}
	}
	return t.Flush()
}

func because(reason, message string) string {
	return cmp.Or(strings.TrimSuffix(reason+": "+command.OneLine(message), ": "), "-")
}
