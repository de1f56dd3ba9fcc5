package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// Ago returns how long ago a time was, rounded for people.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(now.Sub(t), 0))
}

// ClassNames lists RuntimeClasses. Pods without one have "none".
func ClassNames(classes []string) string {
	named := make([]string, len(classes))
	for i, c := range classes {
		named[i] = cmp.Or(c, "none")
	}
	return strings.Join(named, ",")
}

// OneLine returns a text with each run of white space replaced by one space.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Printable replaces what a stranger could use to control a terminal, or to imitate
// other output.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// PrintableLines is Printable for a text of several lines.
func PrintableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// PrintValue prints a value as JSON or YAML.
func PrintValue(w io.Writer, output string, value any) error {
	if output == "yaml" {
		b, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// ClassName returns a RuntimeClass with what serves it, if that is known. The name of the
// class alone says nothing: it is anybody's choice.
func ClassName(class string, handlers map[string]string) string {
	if class == "" {
		return "none"
	}
	switch h := handlers[class]; h {
	case "":
		return class
	case "runsc":
		return class + " (served by gVisor)"
	default:
		return fmt.Sprintf("%s (handler %s)", class, h)
	}
}

// SecondLayout is the layout of a push's time.
const SecondLayout = "2006-01-02 15:04:05Z"
