package validate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// CheckName is the name of this package's reports.
const CheckName = "validate"

// Check applies every rule to every image of tree, without an SBOM or findings.
func (r Rules) Check(ctx context.Context, tree oci.Tree, now time.Time) (result.Report, error) {
	return r.CheckWith(ctx, tree, Materials{}, now)
}

// CheckWith applies every rule to every image of tree. It skips a rule that uses the SBOM or the
// findings if known has none, and names the rule in the report.
func (r Rules) CheckWith(ctx context.Context, tree oci.Tree, known Materials, now time.Time) (result.Report, error) {
	if len(r.rules) == 0 || len(tree.Images) == 0 {
		return result.Report{}, fmt.Errorf("nothing to check: %d rules, %d images", len(r.rules), len(tree.Images))
	}
	out := result.Report{Check: CheckName, Digest: tree.Root.Digest, Findings: []result.Finding{}}
	var applied []rule
	for _, rule := range r.rules {
		if rule.asks.sbom && known.Packages == nil || rule.asks.findings && known.Findings == nil {
			out.Unapplied = append(out.Unapplied, rule.name)
			continue
		}
		applied = append(applied, rule)
	}
	out.Rules = len(applied)
	for _, img := range tree.Images {
		if err := check(ctx, applied, img, known, r.parameters, now, &out); err != nil {
			return result.Report{}, err
		}
	}
	return out, nil
}

// check applies rules to one image.
func check(ctx context.Context, rules []rule, img oci.Image, known Materials, parameters map[string]any, now time.Time, out *result.Report) error {
	platform := result.Line(img.Config.String())
	out.Images = append(out.Images, result.CheckedImage{Platform: platform, Digest: img.Manifest.Digest})
	vars := map[string]any{
		"image": view(img), "base": baseOf(img), "now": now, "parameters": parameters,
		sbomVariable:     SBOM{Packages: known.Packages[img.Manifest.Digest]},
		findingsVariable: known.findings(img.Manifest.Digest),
	}
	for _, rule := range rules {
		holds, err := rule.evaluate(ctx, vars)
		if err != nil {
			return fmt.Errorf("%s, image %s: %w", rule.label(), platform, err)
		}
		if holds {
			continue
		}
		out.Findings = append(out.Findings, result.Finding{
			Rule:     rule.name,
			Severity: rule.severity,
			Platform: platform,
			Digest:   img.Manifest.Digest,
			Message:  result.Line(rule.tell(ctx, vars)),
		})
	}
	return nil
}

// evaluate reports whether the rule holds. A rule holds only if its value is true.
func (r rule) evaluate(ctx context.Context, vars map[string]any) (bool, error) {
	out, _, err := r.holds.ContextEval(ctx, vars)
	switch {
	case ctx.Err() != nil:
		return false, fmt.Errorf("time ran out while evaluating it; simplify it or raise --timeout of the validate step: %w", ctx.Err())
	case err != nil:
		return false, fmt.Errorf("cannot evaluate it: %w%s", err, cure(err))
	}
	holds, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it returned a value of type %s, not bool", out.Type().TypeName())
	}
	return bool(holds), nil
}

// cure returns the fix for the error that authors of rules meet first.
func cure(err error) string {
	if strings.Contains(err.Error(), "no such key") {
		return "; first test that the key exists, as in 'x' in image.config.labels && ..."
	}
	return ""
}

// tell returns the message for an image that breaks the rule. The finding is reported even if
// messageExpression fails.
func (r rule) tell(ctx context.Context, vars map[string]any) string {
	if r.explain == nil {
		return r.message
	}
	out, _, err := r.explain.ContextEval(ctx, vars)
	if said, ok := out.(types.String); err == nil && ok && said != "" {
		return string(said)
	}
	return r.message
}
