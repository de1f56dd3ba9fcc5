package doctor

import (
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// Level says how bad a finding is.
type Level string

// The levels, from good to bad.
const (
	LevelOK Level = "ok"
	// LevelWarning: pushes are recorded and verified, but later than they could be, or
	// in another way than somebody may expect.
	LevelWarning Level = "warning"
	// LevelUnknown: doctor could not read what it needs to decide. It may be a problem.
	LevelUnknown Level = "unknown"
	// LevelProblem: pushes are not recorded or not verified, or verdicts not signed as asked.
	LevelProblem Level = "problem"
)

// levels lists them in the order of the last line.
var levels = []struct {
	level         Level
	singular, all string
}{
	{LevelOK, "ok", "ok"},
	{LevelWarning, "warning", "warnings"},
	{LevelUnknown, "unknown", "unknown"},
	{LevelProblem, "problem", "problems"},
}

// Finding is what one check found.
type Finding struct {
	Level   Level  `json:"level"`
	Check   string `json:"check"`
	Message string `json:"message"`
	// Cure is what a person can do. Some messages name the cure themselves.
	Cure string `json:"cure,omitempty"`
}

// Report is everything that doctor found.
type Report struct {
	Installation []Finding       `json:"installation"`
	Triggers     []TriggerReport `json:"triggers"`
}

// TriggerReport is what doctor found out about one ImageTrigger.
type TriggerReport struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Findings  []Finding `json:"findings"`
}

// count returns how many findings have a level.
func (r Report) count(level Level) int {
	n := 0
	lists := [][]Finding{r.Installation}
	for _, t := range r.Triggers {
		lists = append(lists, t.Findings)
	}
	for _, findings := range lists {
		for _, f := range findings {
			if f.Level == level {
				n++
			}
		}
	}
	return n
}

// verdict returns an error unless everything was read and no problem was found.
func (r Report) verdict() error {
	problems, unknown := r.count(LevelProblem), r.count(LevelUnknown)
	switch {
	case problems == 0 && unknown == 0:
		return nil
	case unknown == 0:
		return fmt.Errorf("problems: %d", problems)
	default:
		return fmt.Errorf("problems: %d; checks that could not be made: %d", problems, unknown)
	}
}

func ok(check, format string, args ...any) Finding {
	return Finding{Level: LevelOK, Check: check, Message: fmt.Sprintf(format, args...)}
}

func warn(check, cure, format string, args ...any) Finding {
	return Finding{Level: LevelWarning, Check: check, Message: fmt.Sprintf(format, args...), Cure: cure}
}

func unknown(check, cure, format string, args ...any) Finding {
	return Finding{Level: LevelUnknown, Check: check, Message: fmt.Sprintf(format, args...), Cure: cure}
}

func problem(check, cure, format string, args ...any) Finding {
	return Finding{Level: LevelProblem, Check: check, Message: fmt.Sprintf(format, args...), Cure: cure}
}

const (
	// accessCure is the cure for what the user may not read.
	accessCure = "ask somebody with more rights, such as a cluster administrator, to run this command"
	// serverCure is the cure for any other error of the API server.
	serverCure = "check that the API server answers, then run this command again"
)

// notRead is the finding for what could not be read: nobody knows whether it is a problem.
func notRead(check, what string, err error) Finding {
	if apierrors.IsForbidden(err) {
		return unknown(check, accessCure, "you may not read %s", what)
	}
	return unknown(check, serverCure, "cannot read %s: %v", what, err)
}

// print writes the report as text.
func (r Report) print(w io.Writer) error {
	var b strings.Builder
	printFindings(&b, "Installation", r.Installation)
	for _, t := range r.Triggers {
		b.WriteString("\n")
		printFindings(&b, fmt.Sprintf("ImageTrigger %s/%s", t.Namespace, t.Name), t.Findings)
	}
	var counts []string
	for _, l := range levels {
		n, word := r.count(l.level), l.all
		if n == 1 {
			word = l.singular
		}
		counts = append(counts, fmt.Sprintf("%d %s", n, word))
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(counts, ", "))
	_, err := io.WriteString(w, b.String())
	return err
}

func printFindings(b *strings.Builder, title string, findings []Finding) {
	fmt.Fprintln(b, command.Printable(title))
	for _, f := range findings {
		fmt.Fprintf(b, "  %-8s %-17s %s\n", f.Level, f.Check, command.Printable(command.OneLine(f.Message)))
		if f.Cure != "" {
			fmt.Fprintf(b, "  %-8s %-17s cure: %s\n", "", "", command.Printable(command.OneLine(f.Cure)))
		}
	}
}
