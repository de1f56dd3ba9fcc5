package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// verdict prints the verdict that counts, and all that it rests on.
func (p *page) verdict(s Report, now time.Time) {
	v := s.Verdict
	if v == nil {
		p.heading("No verdict")
		if s.JudgedWithoutVerdict {
			p.line(1, "Why", "the entry was judged before verdicts were kept; what its runs said counts as not known")
			p.line(1, "Cure", "kubectl revet replay %s -n %s", s.Name, s.Namespace)
		}
		return
	}
	p.heading(fmt.Sprintf("Verdict: %s", lifecycle.VerdictReason(v)))
	p.line(1, "Given", "%s, %s ago, by run %d", v.At.UTC().Format(command.SecondLayout), command.Ago(v.At.Time, now), v.Number)
	p.line(1, "Policy", "%s", orUnknown(v.PolicyDigest))
	for _, name := range slices.Sorted(maps.Keys(v.Parts)) {
		p.line(2, name, "%s", v.Parts[name])
	}
	p.line(1, "Database", "%s", databaseWords(v.Database))
	p.line(1, "Checks", "%s", orUnknown(strings.Join(v.Checks, ", ")))
	p.line(1, "Not checked", "%s", notCheckedLine(v.Off))
	p.line(1, "Platforms", "%s", platformWords(v))
	p.line(1, "Inventory", "%s", inventoryWords(v.Inventory))
	p.line(1, "Sandbox", "%s", verdictSandbox(v.Sandbox))
}

// orUnknown returns what the pipeline told, or that it did not tell it.
func orUnknown(text string) string {
	if text == "" {
		return "not known: the pipeline did not tell it"
	}
	return text
}

func databaseWords(d *v1alpha1.VerdictDatabase) string {
	switch {
	case d == nil:
		return "none is known to have been used"
	case d.AsOf == nil:
		return d.Digest + ", of a time that is not known"
	default:
		return fmt.Sprintf("%s, as of %s", d.Digest, d.AsOf.UTC().Format(command.SecondLayout))
	}
}

// platformWords names the platforms that were looked at, and what was not.
func platformWords(v *v1alpha1.Verdict) string {
	text := orUnknown(strings.Join(v.Platforms, ", "))
	if v.PlatformsOmitted > 0 {
		text += fmt.Sprintf("; images looked at whose platform is not listed: %d", v.PlatformsOmitted)
	}
	if v.Unselected > 0 {
		text += fmt.Sprintf("; images of the index that nobody looked at: %d", v.Unselected)
	}
	return text
}

func inventoryWords(i *v1alpha1.VerdictInventory) string {
	switch {
	case i == nil:
		return "none"
	case i.Reference == "":
		return i.Digest + ", which is not stored"
	default:
		return fmt.Sprintf("%s, in %s", i.Digest, i.Reference)
	}
}

func verdictSandbox(s v1alpha1.VerdictSandbox) string {
	asked := "no class was requested"
	if s.Requested != "" {
		asked = "requested " + s.Requested
	}
	if len(s.Observed) == 0 {
		return asked + "; no Pod was observed"
	}
	return fmt.Sprintf("%s; observed %s", asked, command.ClassNames(s.Observed))
}
