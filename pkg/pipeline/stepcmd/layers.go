package stepcmd

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	// LayersCheck names the check that fetch makes.
	LayersCheck = "layers"
	// RuleMissingAttachment reports provenance or an SBOM that an index names but the registry no
	// longer has. No runtime can choose it.
	RuleMissingAttachment = "missing-attachment"
)

// layersReport returns the report of the check layers. An ambiguity fails the image unless a policy
// exception names its kind.
func layersReport(fetched fetch.Fetched, rules policy.Policy, ref image.Reference, now time.Time) result.Report {
	out := result.Report{Check: LayersCheck, Digest: fetched.Root.Digest, Rules: 2, Findings: []result.Finding{}}
	for _, img := range fetched.Images {
		of := result.CheckedImage{Platform: result.Line(img.Config.String()), Digest: img.Manifest.Digest}
		out.Images = append(out.Images, of)
		var gaps []result.Gap
		for _, a := range fetched.Ambiguities[img.Manifest.Digest] {
			gaps = append(gaps, result.Gap{
				Rule: policy.RuleAmbiguousLayers, Subject: string(a.Kind),
				Message: fmt.Sprintf("%s; runtimes read its layers differently: rebuild the image, or flatten it to one layer", a),
			})
		}
		out.Findings = append(out.Findings, rules.Gaps(of, gaps, ref.String(), now)...)
	}
	for _, d := range fetched.MissingAttachments {
		out.Findings = append(out.Findings, result.Finding{
			Rule: RuleMissingAttachment, Severity: result.SeverityWarning, Digest: fetched.Root.Digest,
			Message: fmt.Sprintf("the index names %s, which is not runnable and no longer in the registry; did a retention policy remove it?", d.Digest),
		})
	}
	return out
}
