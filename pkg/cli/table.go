package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
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
		strings.Join(tagNames(e), ","),
		string(e.Phase()),
		cmp.Or(e.Status.Reason, "-"),
		cmp.Or(e.Status.NotChecked, "-"),
		fmt.Sprint(e.Status.RunCount),
		ago(lastPushed(e), o.now),
	}
	if o.namespaces {
		cells = append([]string{e.Namespace}, cells...)
	}
	if o.wide {
		cells = append(cells, e.Spec.Digest, e.Spec.Trigger.Name, sandboxCell(e), cmp.Or(oneLine(e.Status.Message), "-"))
	}
	for i := range cells {
		cells[i] = printable(cells[i])
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
	return classNames(s.Observed)
}

// pushesOf returns the newest push of each tag of an entry, newest first.
func pushesOf(e *v1alpha1.ImageVerification) []v1alpha1.TagStatus {
	pushes := e.Tags()
	slices.SortStableFunc(pushes, func(a, b v1alpha1.TagStatus) int {
		return cmp.Or(b.PushedAt.Compare(a.PushedAt.Time), cmp.Compare(b.Sequence, a.Sequence), cmp.Compare(a.Tag, b.Tag))
	})
	return pushes
}

func tagNames(e *v1alpha1.ImageVerification) []string {
	var names []string
	for _, p := range pushesOf(e) {
		names = append(names, p.Tag)
	}
	return names
}

func lastPushed(e *v1alpha1.ImageVerification) time.Time { return pushesOf(e)[0].PushedAt.Time }

func newestFirst(entries []v1alpha1.ImageVerification) {
	slices.SortStableFunc(entries, func(a, b v1alpha1.ImageVerification) int {
		return cmp.Or(lastPushed(&b).Compare(lastPushed(&a)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(now.Sub(t), 0))
}

func classNames(classes []string) string {
	named := make([]string, len(classes))
	for i, c := range classes {
		named[i] = cmp.Or(c, "none")
	}
	return strings.Join(named, ",")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// printable keeps what came from outside from steering a terminal, or from
// looking like something else.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
