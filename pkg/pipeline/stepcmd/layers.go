package stepcmd

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/triage"
)

// LayersCheck is the check that fetch makes.
const LayersCheck = "layers"

// layersReport is the report of the check layers: by the policy, an ambiguity fails the
// image unless an exception names its kind.
func layersReport(fetched fetch.Fetched, policy triage.Policy, ref image.Reference, now time.Time) report.Report {
	out := report.Report{Check: LayersCheck, Digest: fetched.Root.Digest, Rules: 1, Findings: []report.Finding{}}
	for _, img := range fetched.Images {
		of := report.Image{Platform: report.Line(img.Config.String()), Digest: img.Manifest.Digest}
		out.Images = append(out.Images, of)
		var gaps []findings.Gap
		for _, a := range fetched.Ambiguities[img.Manifest.Digest] {
			gaps = append(gaps, findings.Gap{
				Rule: triage.RuleAmbiguousLayers, Subject: string(a.Kind),
				Message: fmt.Sprintf("runtimes read its layers differently: %s; build the image again, or flatten it to one layer", a),
			})
		}
		out.Findings = append(out.Findings, policy.Gaps(of, gaps, ref.String(), now)...)
	}
	return out
}
