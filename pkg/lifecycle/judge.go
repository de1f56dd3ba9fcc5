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
	// Off are the checks that were switched off, of a verdict that stands.
	Off     []string
	Sandbox v1alpha1.SandboxStatus
}

// Judge says what the end of a run means. A verdict counts only for the digest
// that was pushed, and a pass only if every Pod had the class that was requested.
func Judge(digest image.Digest, requestedClass string, pr PipelineRun, pods []Pod) Outcome {
	o := Outcome{
		Digest:  image.Cut(pr.Results[runresult.Digest], 128),
		Summary: image.Cut(pr.Results[runresult.Summary], maxSummary),
		Report:  image.Cut(pr.Results[runresult.Report], maxReport),
		Sandbox: observe(requestedClass, pods),
	}
	o.Outcome, o.Reason, o.Message = judge(digest, requestedClass, pr, pods)
	if o.Outcome != v1alpha1.OutcomeError {
		o.Off = off(pr.Results[runresult.Summary])
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

// Stranded returns the outcome of a run that was stopped as its Pods could not start,
// or that ended so by itself, for the reason in words. One that gave a verdict all
// the same keeps it.
func (o Outcome) Stranded(message string) Outcome {
	if message == "" || (o.Reason != RunFailed && o.Reason != RunCancelled) {
		return o
	}
	o.Reason, o.Message = SandboxUnavailable, image.Cut(message, maxMessage)
	return o
}

// The reasons that Tekton gives to a PipelineRun that somebody stopped, which
// nobody but a person does.
var cancelled = map[string]bool{"Cancelled": true, "CancelledRunningFinally": true, "StoppedRunningFinally": true, "PipelineRunCancelled": true}

// failed says why a run failed: the PipelineRun only counts its tasks, so that
// what the first failed step said comes first.
func failed(digest image.Digest, pr PipelineRun, pods []Pod) (v1alpha1.Outcome, Reason, string) {
	reason, by := lasting(pods)
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
		// It ends as nothing to verify, and so has to speak of what was pushed, as a verdict has.
		return v1alpha1.OutcomeError, DigestMismatch, note(fmt.Sprintf("what was found to be no image is not %s", digest), message)
	default:
		return v1alpha1.OutcomeError, reason, message
	}
}

// unsandboxed returns why it is not shown that every Pod had the class, or "".
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

// observe tells where the Pods ran; the first few stand for many.
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
