package lifecycle

import (
	"fmt"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/runresult"
)

// The bounds of v1alpha1.RunStatus.
const (
	maxSummary = runresult.MaxSummary
	maxReport  = 512
	maxMessage = 1024
	maxPods    = 8
)

// Outcome is what a run's end means. The zero value is no pass.
type Outcome struct {
	Outcome v1alpha1.Outcome
	Reason  Reason
	Message string
	// Digest, Summary and Report are the pipeline's results, cut to their bounds.
	Digest  string
	Summary string
	Report  string
	// Basis is what the verdict rests on; zero without one. What identifies the run and
	// the outcome is not filled in.
	Basis   v1alpha1.Verdict
	Sandbox v1alpha1.SandboxStatus
}

// OutcomeOf says what the end of a run means. A verdict counts only for the digest that
// was pushed, and a pass only if every Pod had the requested class.
func OutcomeOf(digest image.Digest, requestedClass string, pr PipelineRun, pods []Pod) Outcome {
	o := Outcome{
		Digest:  image.Cut(pr.Results[runresult.Digest], 128),
		Summary: image.Cut(pr.Results[runresult.Summary], maxSummary),
		Report:  image.Cut(pr.Results[runresult.Report], maxReport),
		Sandbox: observe(requestedClass, pods),
	}
	o.Outcome, o.Reason, o.Message = judge(digest, requestedClass, pr, pods)
	if o.Outcome != v1alpha1.OutcomeError {
		var invalid string
		o.Basis, invalid = basisOf(pr.Results)
		o.Message = note(o.Message, invalid)
	}
	if n := len(pr.Results[runresult.Summary]); n > maxSummary {
		o.Message = note(o.Message, fmt.Sprintf("the summary had %d bytes and was cut to %d", n, maxSummary))
	}
	if n := len(pr.Results[runresult.Report]); n > maxReport {
		o.Report = ""
		o.Message = note(o.Message, fmt.Sprintf("the report's reference had %d bytes and was left out", n))
	}
	o.Message = image.Cut(o.Message, maxMessage)
	return o
}

func judge(digest image.Digest, class string, pr PipelineRun, pods []Pod) (v1alpha1.Outcome, Reason, string) {
	if !pr.Done || !pr.Succeeded {
		return failed(digest, pr, pods)
	}
	verdict := pr.Results[runresult.Verdict]
	switch verdict {
	case runresult.Pass, runresult.Fail:
	case "":
		return v1alpha1.OutcomeError, NoVerdict,
			"the PipelineRun succeeded without the result \"verdict\"; the pipeline has to give it, as pass or fail"
	default:
		return v1alpha1.OutcomeError, BadVerdict,
			fmt.Sprintf("the result \"verdict\" is %q; it has to be pass or fail", image.Cut(verdict, 80))
	}
	scanned, err := image.ParseDigest(pr.Results[runresult.Digest])
	if err != nil || digest.IsZero() || scanned != digest {
		return v1alpha1.OutcomeError, DigestMismatch,
			fmt.Sprintf("the pipeline says %s of %q, but %s was pushed; its result \"digest\" has to be what it really scanned",
				verdict, image.Cut(pr.Results[runresult.Digest], 80), digest)
	}
	if verdict == runresult.Fail {
		return v1alpha1.OutcomeFail, Failed, ""
	}
	if message := unsandboxed(class, pods); message != "" {
		return v1alpha1.OutcomeError, NotSandboxed, message
	}
	return v1alpha1.OutcomePass, Passed, ""
}

// FailedToStart returns the outcome of a run whose Pods could not start, for the reason
// in words; empty is a run whose Pods could. A run that gave a verdict keeps it.
func (o Outcome) FailedToStart(message string) Outcome {
	if message == "" || (o.Reason != RunFailed && o.Reason != RunCancelled) {
		return o
	}
	o.Reason, o.Message = SandboxUnavailable, image.Cut(message, maxMessage)
	return o
}

// cancelled are the reasons that Tekton gives to a PipelineRun that a person stopped.
var cancelled = map[string]bool{"Cancelled": true, "CancelledRunningFinally": true, "StoppedRunningFinally": true, "PipelineRunCancelled": true}

// failed says why a run failed. The PipelineRun only counts its tasks, so that the words
// of the first failed step come first.
func failed(digest image.Digest, pr PipelineRun, pods []Pod) (v1alpha1.Outcome, Reason, string) {
	reason, by := permanentError(pods)
	for i := range pods {
		if by == nil && pods[i].Failure != "" {
			by = &pods[i]
		}
	}
	message := note(pr.Reason, pr.Message)
	if by != nil {
		message = fmt.Sprintf("%s (%s)", image.Cut(by.Failure, maxMessage/2), message)
	}
	switch {
	case cancelled[pr.Reason]:
		return v1alpha1.OutcomeError, RunCancelled, message
	case !pr.Done || reason == "":
		return v1alpha1.OutcomeError, RunFailed, message
	case reason == NotAnImage && (digest.IsZero() || !strings.Contains(by.Error, digest.String())):
		// The entry would end as nothing to verify, so that the step has to name the digest.
		return v1alpha1.OutcomeError, DigestMismatch, note(fmt.Sprintf("the step found that something else than %s is no image", digest), message)
	default:
		return v1alpha1.OutcomeError, reason, message
	}
}

// unsandboxed returns why it is not proven that every Pod had the class, or "".
func unsandboxed(class string, pods []Pod) string {
	if class == "" {
		return ""
	}
	if len(pods) == 0 {
		return fmt.Sprintf("RuntimeClass %q was requested, but the run has no Pod any more that shows it", class)
	}
	for _, p := range pods {
		if p.RuntimeClass != class {
			return fmt.Sprintf("RuntimeClass %q was requested, but Pod %q had %q; set taskRunTemplate.podTemplate.runtimeClassName in the TriggerTemplate from the request",
				class, p.Name, p.RuntimeClass)
		}
	}
	return ""
}

// observe returns where the Pods ran. Of many, it lists the first few.
func observe(class string, pods []Pod) v1alpha1.SandboxStatus {
	s := v1alpha1.SandboxStatus{Requested: class}
	known := map[string]bool{}
	for _, p := range pods {
		if !known[p.RuntimeClass] && len(s.Observed) < maxPods {
			known[p.RuntimeClass] = true
			s.Observed = append(s.Observed, p.RuntimeClass)
		}
		if len(s.Pods) < maxPods {
			s.Pods = append(s.Pods, p.Name)
		}
		if s.Node == "" {
			s.Node = p.Node
		}
		if s.Overhead == nil {
			s.Overhead = p.Overhead
		}
	}
	return s
}

func note(a, b string) string {
	return strings.TrimPrefix(strings.TrimSuffix(a+": "+b, ": "), ": ")
}
