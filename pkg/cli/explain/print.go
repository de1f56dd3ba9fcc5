package explain

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// milliLayout is the layout of a step's time.
const milliLayout = "2006-01-02 15:04:05.000Z"

// page collects indented lines, each with a name and a text.
type page struct{ b strings.Builder }

const nameWidth = 12

func (p *page) line(indent int, name, format string, args ...any) {
	text := command.Printable(fmt.Sprintf(format, args...))
	if text == "" {
		return
	}
	fmt.Fprintf(&p.b, "%s%-*s %s\n", strings.Repeat("  ", indent), nameWidth, name, text)
}

func (p *page) heading(text string) { fmt.Fprintf(&p.b, "\n%s\n", command.Printable(text)) }

// printReports prints reports one after another.
func printReports(w io.Writer, reports []Report, now time.Time) error {
	var p page
	for i, s := range reports {
		if i > 0 {
			p.b.WriteString("\n" + strings.Repeat("-", 72) + "\n\n")
		}
		p.report(s, now)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (p *page) report(s Report, now time.Time) {
	p.line(0, "Image", "%s", s.Repository)
	p.line(0, "Digest", "%s", s.Digest)
	p.line(0, "Pulled from", "%s", s.Reference)
	p.line(0, "Entry", "%s in namespace %s, by ImageTrigger %s", s.Name, s.Namespace, s.Trigger)
	p.line(0, "Phase", "%s", phaseLine(s))
	p.line(0, "Why", "%s", command.OneLine(s.Message))
	p.line(0, "Cure", "%s", s.Cure)
	p.verdict(s, now)
	p.attestations(s, now)
	p.heading("Pushes")
	if s.ByHandAt != nil {
		p.line(1, "By hand", "recorded %s by a person, before anybody pushed it", s.ByHandAt.UTC().Format(milliLayout))
	}
	for _, push := range s.Pushes {
		p.push(push)
	}
	p.moreTags(s)
	p.facts(s.Image)
	if len(s.Runs) == 0 {
		p.heading("No run yet")
	}
	if s.EarlierRuns > 0 {
		p.heading(fmt.Sprintf("%d earlier runs, which the entry no longer keeps", s.EarlierRuns))
	}
	for _, r := range s.Runs {
		p.run(r, s)
	}
	p.heading("For all details")
	fmt.Fprintf(&p.b, "  %s\n", s.Look)
}

// moreTags counts the tags that the entry does not name.
func (p *page) moreTags(s Report) {
	if s.MoreTags == 0 {
		return
	}
	p.line(1, "Others", "and %d more tags, which the entry does not name", s.MoreTags)
	if s.Forgotten > 0 {
		p.line(1, "Forgotten", "%d of them: nobody knows which they were; %s",
			s.Forgotten, command.Cure(v1alpha1.ReasonTooManyTags))
	}
}

func phaseLine(s Report) string {
	if s.Reason == "" || s.Reason == string(s.Phase) {
		return string(s.Phase)
	}
	return fmt.Sprintf("%s (%s)", s.Phase, s.Reason)
}

func (p *page) push(push Push) {
	name := command.Printable(push.Tag)
	seen := fmt.Sprintf("recorded %s by %s", push.RecordedAt.UTC().Format(milliLayout), sourceWords(push.Source))
	if push.RecordedWithin != "" {
		p.line(1, name, "pushed %s", push.PushedAt.UTC().Format(command.SecondLayout))
		seen += fmt.Sprintf(", at most %s after the push", push.RecordedWithin)
		name = ""
	}
	p.line(1, name, "%s", seen)
	if push.Run == 0 {
		p.line(1, "", "not covered by a run")
		return
	}
	p.line(1, "", "covered by run %d", push.Run)
}

func sourceWords(s v1alpha1.PushSource) string {
	switch s {
	case v1alpha1.SourceEvent:
		return "an event"
	case v1alpha1.SourceWebhook:
		return "the registry's webhook"
	case v1alpha1.SourceSweep:
		return "a sweep, as no event reported it"
	default:
		return string(s)
	}
}

func (p *page) facts(f *v1alpha1.ImageFacts) {
	if f == nil {
		return
	}
	p.heading("Facts")
	p.line(1, "Read from", "%s", factsWords(f.Source))
	p.line(1, "Media type", "%s", f.MediaType)
	p.line(1, "Platforms", "%s", strings.Join(f.Platforms, ", "))
	if f.Layers > 0 {
		p.line(1, "Layers", "%d, %s", f.Layers, size(f.Size))
	}
	if f.Created != nil {
		p.line(1, "Built", "%s, as the image claims", f.Created.UTC().Format(command.SecondLayout))
	}
	if f.Base != "" {
		p.line(1, "Base", "%s, as the image claims", f.Base)
	}
	switch {
	case f.ClaimedRevision != "":
		p.line(1, "Revision", "%s, as the image claims", f.ClaimedRevision)
	case f.RevisionIgnored != "":
		p.line(1, "Revision", "not known: %s", command.RevisionIgnored(f.RevisionIgnored))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		p.line(1, "Label", "%s=%s", name, f.Labels[name])
	}
}

func factsWords(source string) string {
	switch source {
	case "Image":
		return "the Image object"
	case "Registry":
		return "the registry"
	default:
		return source
	}
}

func (p *page) run(r Run, s Report) {
	p.heading(fmt.Sprintf("Run %d: %s", r.Number, outcomeWords(r)))
	p.line(1, "PipelineRun", "%s", r.Name)
	p.line(1, "Cause", "%s", strings.TrimSpace(string(r.Cause.Type)+" "+r.Cause.Key))
	if r.Message != s.Message {
		p.line(1, "Why", "%s", command.OneLine(r.Message))
	}
	if r.Cure != s.Cure {
		p.line(1, "Cure", "%s", r.Cure)
	}
	for _, m := range r.Timestamps {
		p.line(1, m.What, "%s", timestampLine(m, r.Attempts))
	}
	p.line(1, "Sandbox", "%s", sandboxLine(r))
	p.line(1, "Scanned", "%s", scannedLine(r, s))
	p.line(1, "Counts", "%s", r.Summary.line())
	p.line(1, "Summary", "%s", command.OneLine(r.Summary.Text))
	p.line(1, "Not checked", "%s", notCheckedLine(r.Summary.NotChecked))
	p.line(1, "Looked at", "%s", r.Summary.packages())
	p.line(1, "Not seen", "%s", gapsLine(r.Summary.Gaps))
	p.line(1, "Found", "%s", r.Summary.vulnerabilities())
	p.line(1, "Database", "%s", r.Summary.Database.line())
	p.line(1, "Signature", "%s", r.Summary.signatureWords())
	p.findings("Failed rules", r.Summary.failed())
	p.findings("Warnings", r.Summary.warnings())
	p.line(1, "Report", "%s", r.Report)
	p.line(1, "No report", "%s", command.OneLine(r.Summary.Unpublished))
	p.line(1, "Look at it", "%s", r.Look)
	p.line(1, "Its output", "%s", r.Logs)
}

func (p *page) findings(name string, findings []Finding) {
	for _, f := range findings {
		p.line(1, name, "- %s", f.line())
		p.line(1, "", "%s", f.Waiver.line())
		name = "" // only before the first one
	}
}

// notCheckedLine names the checks that are switched off.
func notCheckedLine(off []string) string {
	if len(off) == 0 {
		return ""
	}
	return strings.Join(off, ", ") + ": switched off, so the verdict does not cover it"
}

// gapsLine names what the scanner could not read.
func gapsLine(gaps map[string]float64) string {
	if len(gaps) == 0 {
		return ""
	}
	return counted(gaps, nil) + ": the scanner could not read it"
}

func outcomeWords(r Run) string {
	outcome := cmp.Or(string(r.Outcome), "under way")
	if r.Reason == "" || strings.HasPrefix(strings.ToLower(r.Reason), outcome) {
		return outcome
	}
	return fmt.Sprintf("%s (%s)", outcome, r.Reason)
}

func timestampLine(m Timestamp, attempts int32) string {
	layout := milliLayout
	if m.whole {
		layout = command.SecondLayout
	}
	text := m.At.Format(layout)
	if m.After != "" {
		// Align it below the longer layout.
		text = fmt.Sprintf("%-*s  +%s", len(milliLayout), text, m.After)
	}
	if m.What == "fired" && attempts > 1 {
		text += fmt.Sprintf(", the last of %d attempts", attempts)
	}
	return text
}

// sandboxLine says which class the run requested, and which one its Pods really had.
func sandboxLine(r Run) string {
	s := r.Sandbox
	asked := "no class was requested"
	if s.Requested != "" {
		asked = fmt.Sprintf("requested %s", command.ClassName(s.Requested, s.Handlers))
	}
	if s.Route != "" {
		asked = fmt.Sprintf("NOT SANDBOXED (%s): %s", s.Route, s.RouteMessage)
	}
	if len(s.Observed) == 0 {
		if s.Requested == "" {
			return asked
		}
		return asked + "; Revet has seen no Pod yet"
	}
	var had []string
	for _, class := range s.Observed {
		had = append(had, command.ClassName(class, s.Handlers))
	}
	where := ""
	if len(s.Pods) > 0 {
		where = ": " + strings.Join(s.Pods, ", ")
	}
	if s.Node != "" {
		where += " on node " + s.Node
	}
	if len(s.Overhead) > 0 {
		where += ", each with an overhead of " + overheadOf(s.Overhead)
	}
	if len(s.Observed) == 1 && s.Observed[0] == s.Requested && s.Requested != "" {
		return asked + ", observed on every Pod" + where
	}
	return fmt.Sprintf("%s; observed %s%s", asked, strings.Join(had, " and "), where)
}

// overheadOf lists what a class adds to a Pod, such as 250m cpu and 160Mi memory.
func overheadOf(overhead map[string]string) string {
	var parts []string
	for _, resource := range slices.Sorted(maps.Keys(overhead)) {
		parts = append(parts, overhead[resource]+" "+resource)
	}
	return strings.Join(parts, " and ")
}

func scannedLine(r Run, s Report) string {
	switch r.Scanned {
	case "":
		return ""
	case s.Digest:
		return "the pushed digest"
	default:
		return r.Scanned + ", which is not the pushed digest"
	}
}

// size formats a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for value >= unit && i < len(names)-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %s", value, names[i])
}
