package command_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// A table has the columns that its options show, in the order of the list. No cell is empty,
// can steer a terminal, or starts a line or column of its own.
func TestTablesShowTheColumnsOfTheirOptions(t *testing.T) {
	type row struct {
		name string
		size int
	}
	columns := []command.Column[row]{
		{Header: "NAMESPACE", Only: command.AllNamespaces, Cell: func(row) string { return "demo" }},
		{Header: "NAME", Cell: func(r row) string { return r.name }},
		{Header: "SIZE", Only: command.Wide, Cell: func(r row) string { return fmt.Sprint(r.size) }},
		{Header: "BOTH", Only: command.Wide | command.AllNamespaces, Cell: func(row) string { return "both" }},
	}
	rows := []row{{"", 1}, {"b\x1b[2J\n\tc", 20}}
	for _, test := range []struct {
		name    string
		options command.TableOption
		want    []string
	}{
		{"no option", 0, []string{"NAME", "-", "b\ufffd[2J\ufffd\ufffdc"}},
		{"wide", command.Wide, []string{"NAME       SIZE", "-          1", "b\ufffd[2J\ufffd\ufffdc   20"}},
		{"all namespaces", command.AllNamespaces, []string{"NAMESPACE   NAME", "demo        -", "demo        b\ufffd[2J\ufffd\ufffdc"}},
		{"both", command.Wide | command.AllNamespaces, []string{
			"NAMESPACE   NAME       SIZE   BOTH", "demo        -          1      both", "demo        b\ufffd[2J\ufffd\ufffdc   20     both"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			if err := command.PrintTable(&b, columns, test.options, rows); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Join(test.want, "\n")+"\n", b.String()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}
