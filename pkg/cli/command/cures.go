package command

import "github.com/revet-dev/revet/pkg/lifecycle"

// Cure says what a person can do about a reason, or that it passes by itself where
// it looks like trouble; "" where there is nothing to say.
func Cure(r lifecycle.Reason) string {
	switch r {
	case lifecycle.TriggerNotReady:
		return "kubectl describe imagetrigger tells what the trigger lacks; the run follows when it is ready"
	case lifecycle.Queued:
		return "nothing to do; if the queue is too slow, raise the trigger's spec.maxConcurrent or the controller's --max-concurrent, whichever the message names"
	case lifecycle.FactsUnreadable:
		return "check that the trigger's service account may get the image, and that the registry answers"
	case lifecycle.FilterInvalid, lifecycle.FilterFailed:
		return "correct spec.filter of the ImageTrigger"
	case lifecycle.SandboxUndecided:
		return "restore the Secret revet-sandbox-key, whose key the weight of spec.sandbox is chosen by, or correct spec.sandbox; the run follows by itself"
	case lifecycle.SandboxUnavailable:
		return "mend what the message names; a RuntimeClass that is made anew repeats the run by itself, otherwise kubectl revet replay. spec.sandbox.fallback: Default would run it outside the sandbox"
	case lifecycle.Existing:
		return "set existing: Verify on the ImageTrigger to verify what was there before it"
	case lifecycle.RetryScheduled:
		return "nothing to do: the run is repeated by itself; spec.retries of the ImageTrigger says how often at the most"
	case lifecycle.Superseded:
		return "set superseded: Verify on the ImageTrigger to have such pushes run as well; kubectl revet replay runs this one"
	case lifecycle.SinkUnreachable, lifecycle.SinkSilent:
		return "check that the EventListener's Pod is ready, and that network policies let the controller reach it"
	case lifecycle.SinkRefused, lifecycle.SinkInvalid:
		return "kubectl describe imagetrigger tells how the sink was resolved; the EventListener's log tells why it refused"
	case lifecycle.SinkRejected:
		return "correct what answers for the sink, such as an interceptor, a proxy or an authorization policy, then kubectl revet replay"
	case lifecycle.Unconfirmed:
		return "the EventListener's log tells what became of the request; let its TriggerTemplate use the run's name, so that it can be sent again safely"
	case lifecycle.Misnamed:
		return "let the TriggerTemplate take the run's name, then kubectl revet replay"
	case lifecycle.RunNameTaken:
		return "find out who made a PipelineRun of this name: nobody but the EventListener should"
	case lifecycle.Vanished:
		return "keep finished PipelineRuns for at least 10 minutes before they are pruned"
	case lifecycle.RunFailed:
		return "the PipelineRun's conditions and its Pods' logs tell what failed; it is not the image's verdict"
	case lifecycle.ContentCorrupted:
		return "push the image again; if it ends so again, the registry does not keep what it is given"
	case lifecycle.ContentUnreadable:
		return "build the image again with a tool that writes what the OCI specification asks for, and push it"
	case lifecycle.TooLarge:
		return "make the image smaller, or raise the limit that the message names in the Task"
	case lifecycle.AddressRefused:
		return "let the registry serve its content itself or from a public address, or list the host for the steps in the ConfigMap revet-registries; then kubectl revet replay"
	case lifecycle.PushRefused:
		return "let the registry take OCI artefacts, or set the pipeline's parameter publish to referrers or none; then kubectl revet replay --error"
	case lifecycle.PackagesUnreadable:
		return "mend what the message names in the image, and push it again"
	case lifecycle.DatabaseNotConfigured, lifecycle.DatabaseTooOld, lifecycle.DatabaseTooNew, lifecycle.DatabaseFormat,
		lifecycle.DatabaseEmpty, lifecycle.DatabaseBroken, lifecycle.DatabaseTampered:
		return "fill the vulnerability database anew, or mend what the message names; then kubectl revet replay --error"
	case lifecycle.RunCancelled:
		return "kubectl revet replay, if the image is to be verified after all"
	case lifecycle.NoVerdict, lifecycle.BadVerdict:
		return `let the Pipeline set the result "verdict" to pass or fail`
	case lifecycle.DigestMismatch:
		return `let the Pipeline pull the image by the digest it is given, and set the result "digest" to what it scanned`
	case lifecycle.NotSandboxed:
		return "let the TriggerTemplate pass the sandbox's runtimeClassName to taskRunTemplate.podTemplate"
	default:
		return "" // a verdict, a passing state, or a reason of its own whose message says more
	}
}
