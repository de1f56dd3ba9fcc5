package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// parseName parses host/repository:tag or host/repository@sha256:.... With a digest it ignores a
// tag, as a pull does.
func parseName(name string) (image.Repository, string, image.Digest, error) {
	none := func(err error) (image.Repository, string, image.Digest, error) {
		return image.Repository{}, "", image.Digest{}, fmt.Errorf("%w; write host/repository:tag, host/repository@sha256:... or the path of a layout or an archive", err)
	}
	rest, pinned, isPinned := strings.Cut(name, "@")
	repository, tag := rest, ""
	if i := strings.LastIndex(rest, ":"); i > strings.LastIndex(rest, "/") {
		repository, tag = rest[:i], rest[i+1:]
	}
	parsed, err := image.ParseRepository(repository)
	if err != nil {
		return none(err)
	}
	if isPinned {
		digest, err := image.ParseDigest(pinned)
		if err != nil {
			return none(err)
		}
		return parsed, "", digest, nil
	}
	if tag == "" {
		tag = "latest"
	}
	if !image.ValidTag(tag) {
		return none(fmt.Errorf("%.80q is not a tag", tag))
	}
	return parsed, tag, image.Digest{}, nil
}

// printChecked prints a verdict for humans: the verdict, what was checked, and why.
func printChecked(out io.Writer, name string, c checked) error {
	var s verdict.Summary
	if err := json.Unmarshal(c.Summary, &s); err != nil {
		return fmt.Errorf("reading the summary: %w", err)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(title, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", title, result.Line(fmt.Sprintf(format, args...)))
	}
	line("Verdict", "%s", strings.ToUpper(c.Verdict))
	line("Image", "%s", name)
	line("Digest", "%s", c.Digest)
	printLooked(line, s)
	for _, f := range s.Findings {
		title := "Fails"
		if f.Severity != result.SeverityError {
			title = "Warning"
		}
		line(title, "%s", finding(f))
	}
	if s.Omitted > 0 {
		line("", "and %d more", s.Omitted)
	}
	return w.Flush()
}

// printLooked prints what was checked, and what was not.
func printLooked(line func(title, format string, args ...any), s verdict.Summary) {
	line("Platforms", "%s (images %d, not chosen %d)", strings.Join(s.Platforms, ", "), s.Counts.Images, s.Counts.Unselected)
	if len(s.Distributions) > 0 {
		line("Distribution", "%s", strings.Join(s.Distributions, ", "))
	}
	if s.Packages != nil {
		line("Packages", "%s", counted(slices.Sorted(maps.Keys(s.Packages)), s.Packages))
	}
	if d := s.Database; d != nil {
		line("Database", "%s, from %s, %s old", d.Digest, d.AsOf.Format(time.RFC3339), d.Age)
	}
	if len(s.Levels) > 0 {
		var levels []string
		for _, l := range result.Levels() {
			levels = append(levels, string(l))
		}
		line("Vulnerabilities", "%s", counted(levels, s.Levels))
	}
	line("Signature", "%s", s.Signature)
	line("Checks", "%d, rules %d, errors %d, warnings %d", s.Counts.Checks, s.Counts.Rules, s.Counts.Errors, s.Counts.Warnings)
	if len(s.Off) > 0 {
		line("Not checked", "%s", strings.Join(s.Off, ", "))
	}
	if len(s.Gaps) > 0 {
		line("Gaps", "%s", counted(slices.Sorted(maps.Keys(s.Gaps)), s.Gaps))
	}
}

// counted lists numbers by name.
func counted(names []string, n map[string]int) string {
	var all []string
	for _, name := range names {
		if n[name] > 0 {
			all = append(all, fmt.Sprintf("%s %d", name, n[name]))
		}
	}
	return strings.Join(all, ", ")
}

func finding(f taskresult.Finding) string {
	text := f.Check + "/" + f.Rule
	if f.Level != "" {
		text += " (" + f.Level + ")"
	}
	if f.Platform != "" {
		text += " on " + f.Platform
	}
	if f.Times > 1 {
		text += fmt.Sprintf(", %d times", f.Times)
	}
	return text + ": " + f.Message
}
