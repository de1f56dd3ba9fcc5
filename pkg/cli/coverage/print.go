package coverage

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/coverage"
)

// columns are those of the table, which has a line for each trigger.
var columns = []command.Column[*coverage.Report]{
	{Header: "NAMESPACE", Only: command.AllNamespaces, Cell: func(r *coverage.Report) string { return r.Namespace }},
	{Header: "TRIGGER", Cell: func(r *coverage.Report) string { return r.Trigger }},
	{Header: "STATE", Cell: func(r *coverage.Report) string { return state(r.State) }},
	{Header: "PUSHES", Cell: func(r *coverage.Report) string { return ifRead(r, r.Pushes) }},
	{Header: "COVERED", Cell: func(r *coverage.Report) string { return ifRead(r, r.Covered) }},
	{Header: "PENDING", Cell: func(r *coverage.Report) string { return fmt.Sprint(r.Pending) }},
	{Header: "FAILED", Cell: func(r *coverage.Report) string { return fmt.Sprint(r.Failed) }},
	{Header: "SKIPPED", Cell: func(r *coverage.Report) string { return fmt.Sprint(r.Skipped) }},
	{Header: "RECOVERED", Cell: func(r *coverage.Report) string { return fmt.Sprint(r.Recovered) }},
	{Header: "GAP", Cell: gap},
	{Header: "ARTEFACTS", Cell: func(r *coverage.Report) string { return ifRead(r, r.Artefacts) }},
	{Header: "DOUBLED", Only: command.Verified, Cell: func(r *coverage.Report) string { return fmt.Sprint(r.Doubled) }},
}

// ifRead prints a number that is known once the repositories were read.
func ifRead(r *coverage.Report, n int) string {
	if r.AsOf == nil {
		return "-"
	}
	return fmt.Sprint(n)
}

// state prints a state as the help names it.
func state(s v1alpha1.CoverageState) string {
	switch s {
	case v1alpha1.CoverageCovered:
		return "COVERED"
	case v1alpha1.CoverageGap:
		return "GAP"
	default:
		return "NOT KNOWN"
	}
}

// gap prints no 0 while the gap is not known.
func gap(r *coverage.Report) string {
	if r.State == v1alpha1.CoverageNotKnown && r.Gap == 0 {
		return "-"
	}
	return ifRead(r, r.Gap)
}

// item is one line of a list below the table, with the report that it belongs to.
type item[T any] struct {
	trigger string
	what    T
}

var uncoveredColumns = []command.Column[item[coverage.Uncovered]]{
	{Header: "TRIGGER", Cell: func(i item[coverage.Uncovered]) string { return i.trigger }},
	{Header: "TAG", Cell: func(i item[coverage.Uncovered]) string { return i.what.Repository + ":" + i.what.Tag }},
	{Header: "DIGEST", Cell: func(i item[coverage.Uncovered]) string { return i.what.Digest }},
	{Header: "PUSHED", Cell: func(i item[coverage.Uncovered]) string { return pushedAt(i.what) }},
	{Header: "WHY", Cell: func(i item[coverage.Uncovered]) string { return because(string(i.what.Reason), i.what.Message) }},
}

var doubledColumns = []command.Column[item[coverage.Double]]{
	{Header: "TRIGGER", Cell: func(i item[coverage.Double]) string { return i.trigger }},
	{Header: "ENTRY", Cell: func(i item[coverage.Double]) string { return i.what.Entry }},
	{Header: "PIPELINERUN", Cell: func(i item[coverage.Double]) string { return i.what.PipelineRun }},
	{Header: "WHY", Cell: func(i item[coverage.Double]) string { return i.what.Message }},
}

var emptyColumns = []command.Column[item[string]]{
	{Header: "TRIGGER", Cell: func(i item[string]) string { return i.trigger }},
	{Header: "WHY", Cell: func(i item[string]) string { return i.what }},
}

var exemptColumns = []command.Column[item[coverage.Exempt]]{
	{Header: "TRIGGER", Cell: func(i item[coverage.Exempt]) string { return i.trigger }},
	{Header: "TAG", Cell: func(i item[coverage.Exempt]) string { return i.what.Repository + ":" + i.what.Tag }},
	{Header: "DIGEST", Cell: func(i item[coverage.Exempt]) string { return i.what.Digest }},
	{Header: "WHY", Cell: func(i item[coverage.Exempt]) string { return string(i.what.Reason) }},
}

// printCoverage prints a line for each trigger, and below what is wrong.
func printCoverage(w io.Writer, reports []coverage.Report, options command.TableOption) error {
	if reports[0].Verified {
		options |= command.Verified
	}
	rows := make([]*coverage.Report, len(reports))
	for i := range reports {
		rows[i] = &reports[i]
	}
	if err := command.PrintTable(w, columns, options, rows); err != nil {
		return err
	}
	if err := printUncovered(w, reports, options); err != nil {
		return err
	}
	for _, list := range []func() error{
		func() error {
			return printList(w, "Doubled", doubledColumns, options, reports, func(r *coverage.Report) []coverage.Double { return r.DoubledRuns })
		},
		func() error {
			return printUnknown(w, reports, options)
		},
		func() error {
			return printList(w, "Nothing selected", emptyColumns, options, reports, selectsNothing)
		},
		func() error {
			return printList(w, "Artefacts, which cannot run", exemptColumns, options, reports, func(r *coverage.Report) []coverage.Exempt { return r.Exempt })
		},
	} {
		if err := list(); err != nil {
			return err
		}
	}
	return nil
}

// printUnknown says what is not known, and what to do. The cure has a line of its own: it
// is often a command to copy.
func printUnknown(w io.Writer, reports []coverage.Report, options command.TableOption) error {
	title := "\nNot known:\n"
	for i := range reports {
		for _, u := range reports[i].Unknown {
			times := ""
			if u.Count > 1 {
				times = fmt.Sprintf(" (%d times)", u.Count)
			}
			if _, err := fmt.Fprintf(w, "%s%s: %s%s\n  Cure: %s\n", title, named(&reports[i], options), command.Printable(because(u.Reason, u.Message)), times,
				command.Printable(cmp.Or(command.OneLine(u.Cure), "-"))); err != nil {
				return err
			}
			title = ""
		}
	}
	return nil
}

// named is the name of a report's trigger, with its namespace where there are several.
func named(r *coverage.Report, options command.TableOption) string {
	if options&command.AllNamespaces != 0 {
		return r.Namespace + "/" + r.Trigger
	}
	return r.Trigger
}

// selectsNothing says so of a trigger that is covered because its selectors admit nothing.
func selectsNothing(r *coverage.Report) []string {
	if r.State != v1alpha1.CoverageCovered || r.Repositories > 0 {
		return nil
	}
	return []string{"spec.images admits no repository that exists today"}
}

// printUncovered lists the pushes that nothing covers: only --verify knows which they are.
func printUncovered(w io.Writer, reports []coverage.Report, options command.TableOption) error {
	missing := 0
	for i := range reports {
		missing += reports[i].Gap
	}
	if missing > 0 && !reports[0].Verified {
		_, err := fmt.Fprintln(w, "\nWith --verify, the pushes that are not covered are listed.")
		return err
	}
	return printList(w, "Not covered", uncoveredColumns, options, reports, func(r *coverage.Report) []coverage.Uncovered { return r.Uncovered })
}

// printList prints a titled table of what some reports list; nothing if none does.
func printList[T any](w io.Writer, title string, columns []command.Column[item[T]], options command.TableOption,
	reports []coverage.Report, list func(*coverage.Report) []T,
) error {
	var rows []item[T]
	for i := range reports {
		r := &reports[i]
		for _, what := range list(r) {
			rows = append(rows, item[T]{named(r, options), what})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	return command.PrintTable(w, columns, options, rows)
}

func pushedAt(u coverage.Uncovered) string {
	if u.PushedAt == nil {
		return "-"
	}
	return u.PushedAt.UTC().Format(command.SecondLayout)
}

func because(reason, message string) string {
	return cmp.Or(strings.TrimSuffix(reason+": "+command.OneLine(message), ": "), "-")
}
