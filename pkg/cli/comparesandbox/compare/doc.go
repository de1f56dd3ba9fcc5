// Package compare tells what it costs to run a pipeline under one RuntimeClass rather
// than another: from what was measured of single runs it makes a table, a value for
// programs, and a figure for a report. It is pure.
package compare
