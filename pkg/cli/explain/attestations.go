package explain

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// attestations prints the signed verdicts, and why the newest verdict has none.
func (p *page) attestations(s Report, now time.Time) {
	if len(s.Attestations) == 0 && s.Unattested.IsZero() {
		return
	}
	p.heading("Signed verdicts")
	for _, r := range s.Attestations {
		p.line(1, string(r.State), "%s, for %s", r.Digest, stateWords(r, now))
		p.line(2, "Key", "%s", r.Key)
		p.line(2, "Verdict", "that of run %s, given %s", r.Run, r.VerifiedAt.UTC().Format(command.SecondLayout))
		p.line(2, "Beside", "%s", imageWords(r.Images))
		if r.Message != "" {
			p.line(2, "Why", "%s", command.OneLine(r.Message))
		}
		p.line(2, "Cure", "%s", r.Cure)
	}
	if s.Unattested.IsZero() {
		return
	}
	p.line(1, "Not signed", "%s", command.OneLine(s.Unattested.String()))
	p.line(2, "Cure", "%s", command.OneLine(s.Unattested.Cure))
}

func stateWords(r attested.Record, now time.Time) string {
	text := fmt.Sprintf("%s (since %s)", command.Ago(r.Since.Time, now), r.Since.UTC().Format(command.SecondLayout))
	if r.TriedAt.After(r.Since.Time) {
		text += fmt.Sprintf(", last tried %s ago", command.Ago(r.TriedAt.Time, now))
	}
	return text
}

func imageWords(n int) string {
	if n == 1 {
		return "1 image"
	}
	return fmt.Sprintf("%d images", n)
}
