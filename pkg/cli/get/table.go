package get

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

type tableOptions struct {
	wide       bool
	namespaces bool
	now        time.Time
}

// printTable prints entries as they are ordered.
func printTable(w io.Writer, entries []v1alpha1.ImageVerification, o tableOptions) error {
	header := []string{"NAME", "REPOSITORY", "TAGS", "PHASE", "REASON", "NOT-CHECKED", "RUNS", "PUSHED"}
	if o.namespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	if o.wide {
		header = append(header, "DIGEST", "TRIGGER", "SANDBOX", "MESSAGE")
	}
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for i := range entries {
		fmt.Fprintln(t, strings.Join(row(&entries[i], o), "\t"))
	}
	return t.Flush()
}

func row(e *v1alpha1.ImageVerification, o tableOptions) []string {
	cells := []string{
		e.Name,
		e.Spec.Repository.Name,
		strings.Join(command.TagNames(e), ","),
		string(e.Phase()),
		cmp.Or(e.Status.Reason, "-"),
		cmp.Or(e.Status.NotChecked, "-"),
		fmt.Sprint(e.Status.RunCount),
		command.Ago(command.LastPushed(e), o.now),
	}
	if o.namespaces {
		cells = append([]string{e.Namespace}, cells...)
	}
	if o.wide {
		cells = append(cells, e.Spec.Digest, e.Spec.Trigger.Name, sandboxCell(e), cmp.Or(command.OneLine(e.Status.Message), "-"))
	}
	for i := range cells {
		cells[i] = command.Printable(cells[i])
	}
	return cells
}

// sandboxCell says where the latest run's Pods really executed.
func sandboxCell(e *v1alpha1.ImageVerification) string {
	if len(e.Status.Runs) == 0 {
		return "-"
	}
	s := e.Status.Runs[len(e.Status.Runs)-1].Sandbox
	if len(s.Observed) == 0 {
		return "-"
	}
	return command.ClassNames(s.Observed)
}
