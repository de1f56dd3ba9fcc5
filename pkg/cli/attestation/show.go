package attestation

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// show writes what is verified, and what is not, each in one row. Whoever has the key wrote the
// words: none of them makes a row of its own.
func show(out io.Writer, want attestation.Expectation, v attestation.Verified) {
	s := v.Summary
	fmt.Fprintf(out, "%s  %s\n", command.Printable(s.Result), want.Image)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "  %s\t%s\n", name, command.Printable(fmt.Sprintf(format, args...)))
	}
	row("Signed by", "%s", v.Key)
	row("Verified", "%s, %s ago", s.TimeVerified.UTC().Format(time.RFC3339), want.Now.Sub(s.TimeVerified).Round(time.Minute))
	row("Verifier", "%s %s", s.Verifier.ID, s.Verifier.Version["revet"])
	row("Cluster", "%s", s.Looked.Cluster)
	row("Policy", "%s", s.Policy.URI)
	row("Run", "%s", s.Looked.Run)
	row("Checks", "%s", orNone(s.Looked.Checks))
	row("Off", "%s", orNone(s.Looked.Off))
	row("Platforms", "%s", orNone(s.Looked.Platforms))
	if d := s.Looked.Database; d != nil {
		asOf := "unknown date"
		if d.AsOf != nil {
			asOf = d.AsOf.UTC().Format(time.RFC3339)
		}
		row("Database", "%s of %s", d.Digest, asOf)
	}
	row("Sandbox", "%s", orNone(s.Looked.Sandbox.Observed))
	row("Levels", "%s", orNone(s.VerifiedLevels))
	for _, input := range s.InputAttestations {
		row("Input", "%s", input.URI)
	}
	_ = table.Flush() // standard output
	fmt.Fprintln(out, "Not checked:")
	for _, line := range want.NotChecked(s) {
		fmt.Fprintf(out, "  - %s\n", command.Printable(line))
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
