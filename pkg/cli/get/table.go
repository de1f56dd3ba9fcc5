package get

import (
	"fmt"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// row is what a line of the table shows.
type row struct {
	*v1alpha1.ImageVerification

	now      time.Time
	attested string
}

// columns are those of the table, from left to right. The table of kubectl get has its own,
// above the type in pkg/apis.
var columns = []command.Column[row]{
	{Header: "NAMESPACE", Only: command.AllNamespaces, Cell: func(r row) string { return r.Namespace }},
	{Header: "NAME", Cell: func(r row) string { return r.Name }},
	{Header: "REPOSITORY", Cell: func(r row) string { return r.Spec.Repository.Name }},
	{Header: "TAGS", Cell: func(r row) string { return command.TagList(r.ImageVerification) }},
	{Header: "PHASE", Cell: func(r row) string { return string(r.Phase()) }},
	{Header: "REASON", Cell: func(r row) string { return r.Status.Reason }},
	{Header: "VERDICT", Cell: verdict},
	{Header: "NOT-CHECKED", Cell: notChecked},
	{Header: "ATTESTED", Cell: func(r row) string { return r.attested }},
	{Header: "RUNS", Cell: func(r row) string { return fmt.Sprint(r.Status.RunCount) }},
	{Header: "PUSHED", Cell: func(r row) string { return command.Ago(command.LastPushed(r.ImageVerification), r.now) }},
	{Header: "DIGEST", Only: command.Wide, Cell: func(r row) string { return r.Spec.Digest }},
	{Header: "TRIGGER", Only: command.Wide, Cell: func(r row) string { return r.Spec.Trigger.Name }},
	{Header: "ATTESTED-BY", Only: command.Wide, Cell: func(r row) string { return strings.Join(attested.Keys(r.ImageVerification), ",") }},
	{Header: "SANDBOX", Only: command.Wide, Cell: sandbox},
	{Header: "MESSAGE", Only: command.Wide, Cell: func(r row) string { return command.OneLine(r.Status.Message) }},
}

// verdict returns the verdict that counts and its age, or a dash.
func verdict(r row) string {
	v := r.Status.Verdict
	if v == nil {
		return "-"
	}
	return string(lifecycle.VerdictReason(v)) + " " + command.Ago(v.At.Time, r.now)
}

// notChecked returns the checks that the verdict says nothing of.
func notChecked(r row) string {
	if r.Status.Verdict == nil {
		return ""
	}
	return strings.Join(r.Status.Verdict.Off, ",")
}

// sandbox returns the RuntimeClasses that the Pods of the latest run had.
func sandbox(r row) string {
	last := r.Status.LatestRun()
	if last == nil {
		return ""
	}
	return command.ClassNames(last.Sandbox.Observed)
}
