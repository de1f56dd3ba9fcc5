package cli

import "github.com/revet-dev/revet/pkg/verdict"

// cure says what a person can do about a reason, or that it passes by itself where
// it looks like trouble; "" where there is nothing to say.
func cure(r verdict.Reason) string {
	switch r {
	case verdict.TriggerNotReady:
		return "kubectl describe imagetrigger tells what the trigger lacks; the run follows when it is ready"
	case verdict.Queued:
		return "nothing to do; if the queue is too slow, raise the trigger's spec.maxConcurrent or the controller's --max-concurrent, whichever the message names"
	case verdict.FactsUnreadable:
		return "check that the trigger's service account may get the image, and that the registry answers"
	case verdict.FilterInvalid, verdict.FilterFailed:
		return "correct spec.filter of the ImageTrigger"
	case verdict.SandboxUndecided:
		return "restore the Secret revet-sandbox-key, whose key the weight of spec.sandbox is chosen by, or correct spec.sandbox; the run follows by itself"
	case verdict.SandboxUnavailable:
		return "mend what the message names; a RuntimeClass that is made anew repeats the run by itself, otherwise kubectl revet replay. spec.sandbox.fallback: Default would run it outside the sandbox"
	case verdict.Existing:
		return "set existing: Verify on the ImageTrigger to verify what was there before it"
	case verdict.RetryScheduled:
		return "nothing to do: the run is repeated by itself; spec.retries of the ImageTrigger says how often at the most"
	case verdict.Superseded:
		return "set superseded: Verify on the ImageTrigger to have such pushes run as well; kubectl revet replay runs this one"
	case verdict.SinkUnreachable, verdict.SinkSilent:
		return "check that the EventListener's Pod is ready, and that network policies let the controller reach it"
	case verdict.SinkRefused, verdict.SinkInvalid:
		return "kubectl describe imagetrigger tells how the sink was resolved; the EventListener's log tells why it refused"
	case verdict.Unconfirmed:
		return "the EventListener's log tells what became of the request; let its TriggerTemplate use the run's name, so that it can be sent again safely"
	case verdict.Misnamed:
		return "let the TriggerTemplate take the run's name, then kubectl revet replay"
	case verdict.RunNameTaken:
		return "find out who made a PipelineRun of this name: nobody but the EventListener should"
	case verdict.Vanished:
		return "keep finished PipelineRuns for at least 10 minutes before they are pruned"
	case verdict.RunFailed:
		return "the PipelineRun's conditions and its Pods' logs tell what failed; it is not the image's verdict"
	case verdict.ContentCorrupted:
		return "push the image again; if it ends so again, the registry does not keep what it is given"
	case verdict.ContentUnreadable:
		return "build the image again with a tool that writes what the OCI specification asks for, and push it"
	case verdict.TooLarge:
		return "make the image smaller, or raise the limit that the message names in the Task"
	case verdict.AddressRefused:
		return "let the registry serve its content itself or from a public address, or list the host for the steps in the ConfigMap revet-registries; then kubectl revet replay"
	case verdict.PackagesUnreadable:
		return "mend what the message names in the image, and push it again"
	case verdict.DatabaseNotConfigured, verdict.DatabaseTooOld, verdict.DatabaseTooNew, verdict.DatabaseFormat,
		verdict.DatabaseEmpty, verdict.DatabaseBroken, verdict.DatabaseTampered:
		return "fill the vulnerability database anew, or mend what the message names; then kubectl revet replay --error"
	case verdict.RunCancelled:
		return "kubectl revet replay, if the image is to be verified after all"
	case verdict.NoVerdict, verdict.BadVerdict:
		return `let the Pipeline set the result "verdict" to pass or fail`
	case verdict.DigestMismatch:
		return `let the Pipeline pull the image by the digest it is given, and set the result "digest" to what it scanned`
	case verdict.NotSandboxed:
		return "let the TriggerTemplate pass the sandbox's runtimeClassName to taskRunTemplate.podTemplate"
	default:
		return "" // a verdict, a passing state, or a reason of its own whose message says more
	}
}
