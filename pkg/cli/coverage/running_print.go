package coverage

import (
	"cmp"
	"fmt"
	"io"
	"strconv"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// ungatedName stands for the namespaces that no gate gates.
const ungatedName = "(none)"

var runningColumns = []command.Column[*RunningReport]{
	{Header: "GATE", Cell: func(r *RunningReport) string { return cmp.Or(r.Gate, ungatedName) }},
	{Header: "MODE", Cell: func(r *RunningReport) string { return string(r.Mode) }},
	{Header: "STATE", Cell: func(r *RunningReport) string { return runningState(r.State) }},
	number("PODS", func(s *v1alpha1.RunningStatus) int64 { return s.Pods }),
	number("VERIFIED", func(s *v1alpha1.RunningStatus) int64 { return s.Verified }),
	number("EXPIRED", func(s *v1alpha1.RunningStatus) int64 { return s.Expired }),
	number("FAILED", func(s *v1alpha1.RunningStatus) int64 { return s.Failed }),
	number("UNKNOWN", func(s *v1alpha1.RunningStatus) int64 { return s.Unknown }),
	number("EXEMPT", func(s *v1alpha1.RunningStatus) int64 { return s.Exempt }),
	number("BREAK-GLASS", func(s *v1alpha1.RunningStatus) int64 { return s.BreakGlass }),
}

// number prints a count, or nothing where it is not known.
func number(header string, of func(*v1alpha1.RunningStatus) int64) command.Column[*RunningReport] {
	return command.Column[*RunningReport]{Header: header, Cell: func(r *RunningReport) string {
		if r.Running.ObservedAt == nil {
			return ""
		}
		return strconv.FormatInt(of(&r.Running), 10)
	}}
}

func runningState(s RunningState) string {
	switch s {
	case RunningVerified:
		return "VERIFIED"
	case RunningUnverified:
		return "UNVERIFIED"
	default:
		return "NOT KNOWN"
	}
}

type worstImage struct {
	gate string
	v1alpha1.RunningImage
}

var worstColumns = []command.Column[worstImage]{
	{Header: "GATE", Cell: func(w worstImage) string { return w.gate }},
	{Header: "POD", Cell: func(w worstImage) string { return w.Namespace + "/" + w.Pod }},
	{Header: "CONTAINER", Cell: func(w worstImage) string { return w.Container }},
	{Header: "STANDING", Cell: func(w worstImage) string { return w.Standing }},
	{Header: "IMAGE", Cell: func(w worstImage) string { return w.Image }},
	{Header: "WHY", Cell: func(w worstImage) string { return command.OneLine(w.Message) }},
}

// printRunning prints a line for each gate, and below what is not verified.
func printRunning(w io.Writer, reports []RunningReport) error {
	var rows []*RunningReport
	var worst []worstImage
	for i := range reports {
		rows = append(rows, &reports[i])
		for _, image := range reports[i].Running.Worst {
			worst = append(worst, worstImage{cmp.Or(reports[i].Gate, ungatedName), image})
		}
	}
	if err := command.PrintTable(w, runningColumns, 0, rows); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Why == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\nNot known: %s: %s\n", r.Gate, command.Printable(command.OneLine(r.Why))); err != nil {
			return err
		}
	}
	if len(worst) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "\nNot verified:"); err != nil {
		return err
	}
	return command.PrintTable(w, worstColumns, 0, worst)
}
