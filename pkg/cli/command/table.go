package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Column is one column of a table of rows R.
type Column[R any] struct {
	Header string
	// Cell returns the text of the column in one row. The table shows "-" for an empty one.
	Cell func(R) string
	// Only limits the column to tables with this option; 0 is every table.
	Only TableOption
}

// TableOption shows further columns. Options are bits.
type TableOption uint

// The options of tables.
const (
	Wide          TableOption = 1 << iota // -o wide
	AllNamespaces                         // -A
	Verified                              // --verify
)

// PrintTable prints a header and a line for each row.
func PrintTable[R any](w io.Writer, columns []Column[R], options TableOption, rows []R) error {
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	line := func(text func(Column[R]) string) {
		var cells []string
		for _, c := range columns {
			if c.Only&^options == 0 {
				cells = append(cells, cmp.Or(Printable(text(c)), "-"))
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	line(func(c Column[R]) string { return c.Header })
	for _, r := range rows {
		line(func(c Column[R]) string { return c.Cell(r) })
	}
	return t.Flush()
}
