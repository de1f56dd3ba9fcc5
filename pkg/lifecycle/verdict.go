package lifecycle

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/runresult"
)

// The bounds of v1alpha1.Verdict.
const (
	maxVerdictPlatforms = 32
	maxPlatformName     = 64
)

var platformPattern = regexp.MustCompile(`^[A-Za-z0-9._?-]+/[A-Za-z0-9._?-]+(/[A-Za-z0-9._?-]+)?$`)

// basisOf returns what a verdict rests on, as far as the run's results tell it, and words
// for a basis that is invalid. Only a valid basis tells of the policy, the checks and the
// inventory. Checks that the summary says were off are off, whatever the basis says.
func basisOf(results map[string]string) (v1alpha1.Verdict, string) {
	summary := results[runresult.Summary]
	told := off(summary)
	text := results[runresult.BasisResult]
	if text == "" {
		v := fromSummary(summary)
		v.Off = told
		return v, ""
	}
	b, err := runresult.ParseBasis(text)
	if err != nil {
		// What it would have told is not known, even where the summary tells a part of it.
		return v1alpha1.Verdict{Off: told}, fmt.Sprintf("the result %q is not used: %v", runresult.BasisResult, err)
	}
	v := v1alpha1.Verdict{
		PolicyDigest:     b.Policy,
		Parts:            b.Parts,
		Off:              boundOff(append(slices.Clone(b.Off), told...)),
		Platforms:        b.Platforms,
		PlatformsOmitted: b.PlatformsOmitted,
		Unselected:       b.Unselected,
	}
	for _, name := range b.Checks {
		if !slices.Contains(told, name) {
			v.Checks = append(v.Checks, name)
		}
	}
	if d := b.Database; d != nil {
		v.Database = &v1alpha1.VerdictDatabase{Digest: d.Digest, AsOf: timeOf(d.AsOf)}
	}
	if i := b.Inventory; i != nil {
		v.Inventory = &v1alpha1.VerdictInventory{Digest: i.Digest, Reference: i.Reference}
	}
	return v, ""
}

// fromSummary reads the database, the platforms and the counts of images from the summary
// of a run without a basis. Pipelines are the users' own: what has another form is not known.
func fromSummary(summary string) v1alpha1.Verdict {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(summary), &fields) != nil {
		return v1alpha1.Verdict{}
	}
	var v v1alpha1.Verdict
	var database struct {
		Digest string    `json:"digest"`
		AsOf   time.Time `json:"asOf"`
	}
	if json.Unmarshal(fields["database"], &database) == nil {
		if d, err := image.ParseDigest(database.Digest); err == nil {
			v.Database = &v1alpha1.VerdictDatabase{Digest: d.String(), AsOf: timeOf(database.AsOf)}
		}
	}
	var counts struct {
		Images     int `json:"images"`
		Unselected int `json:"unselected"`
	}
	_ = json.Unmarshal(fields["counts"], &counts) // without them, only the listed platforms are known
	v.Unselected = runresult.Count(counts.Unselected)
	var platforms []string
	if json.Unmarshal(fields["platforms"], &platforms) != nil {
		return v
	}
	for _, p := range platforms {
		if len(v.Platforms) < maxVerdictPlatforms && len(p) <= maxPlatformName &&
			platformPattern.MatchString(p) && !slices.Contains(v.Platforms, p) {
			v.Platforms = append(v.Platforms, p)
		}
	}
	v.PlatformsOmitted = runresult.Count(max(counts.Images, len(platforms)) - len(v.Platforms))
	return v
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	at := metav1.NewTime(t)
	return &at
}

// recordVerdict makes the outcome of a run the verdict of its entry, unless a newer run
// gave one.
func recordVerdict(s *v1alpha1.ImageVerificationStatus, run *v1alpha1.RunStatus, basis v1alpha1.Verdict) {
	if s.Verdict != nil && s.Verdict.Number > run.Number {
		return
	}
	v := basis
	v.Outcome, v.Run, v.Number, v.At = run.Outcome, run.Name, run.Number, *run.FinishedAt
	v.TriggerGeneration = run.TriggerGeneration
	v.Sandbox = v1alpha1.VerdictSandbox{Requested: run.Sandbox.Requested, Observed: slices.Clone(run.Sandbox.Observed)}
	s.Verdict, s.NotChecked = &v, notChecked(v.Off)
}

// VerdictReason returns the reason of the phase that a verdict gives.
func VerdictReason(v *v1alpha1.Verdict) Reason {
	if v.Outcome == v1alpha1.OutcomePass {
		return Passed
	}
	return Failed
}

// covering returns the run whose end covers a further push of the digest, or 0: the one
// that gave the verdict, or the latest one if it found that the digest is no image. Either
// covers pushes for the trigger's freshness, and only under the spec that it was decided
// under.
func covering(s *v1alpha1.ImageVerificationStatus, t Trigger, now time.Time) (int32, Reason) {
	fresh := func(generation int64, at time.Time) bool {
		return generation == t.Generation && now.Before(at.Add(t.Freshness))
	}
	if t.Gone || t.Freshness <= 0 {
		return 0, ""
	}
	if last := s.LatestRun(); last != nil && ended(last, NotAnImage) {
		if last.FinishedAt != nil && fresh(last.TriggerGeneration, last.FinishedAt.Time) {
			return last.Number, NotAnImage
		}
		return 0, "" // an older verdict says otherwise, so that somebody has to look again
	}
	if v := s.Verdict; v != nil && fresh(v.TriggerGeneration, v.At.Time) {
		return v.Number, VerdictReason(v)
	}
	return 0, ""
}
