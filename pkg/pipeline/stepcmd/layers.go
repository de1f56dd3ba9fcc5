package stepcmd

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

// The check that fetch makes.
const (
	LayersCheck   = "layers"
	AmbiguousRule = "ambiguous-layers"
)

// LayerSeverity says how bad it is that runtimes read the layers of an image
// differently. The reference is what was fetched.
type LayerSeverity func(reference string) report.Severity

func alwaysError(string) report.Severity { return report.SeverityError }

// layersReport is the report of the check layers.
func layersReport(fetched fetch.Fetched, severity report.Severity) report.Report {
	out := report.Report{Check: LayersCheck, Digest: fetched.Root.Digest, Rules: 1, Findings: []report.Finding{}}
	for _, img := range fetched.Images {
		platform := report.Line(img.Config.String())
		out.Images = append(out.Images, report.Image{Platform: platform, Digest: img.Manifest.Digest})
		for _, a := range fetched.Ambiguities[img.Manifest.Digest] {
			out.Findings = append(out.Findings, report.Finding{
				Rule: AmbiguousRule, Severity: severity, Platform: platform, Digest: img.Manifest.Digest,
				Message: report.Line(fmt.Sprintf("runtimes read its layers differently: %s; build the image again, or flatten it to one layer", a)),
			})
		}
	}
	return out
}
