package command

import (
	"strings"

	"github.com/revet-dev/revet/pkg/lifecycle"
)

// cures say what a person can do about each reason that a user may meet: of an entry, a
// run or a step. A reason that passes by itself, but looks like trouble, says so.
// cures_test.go lists the reasons that need no row.
var cures = map[lifecycle.Reason]string{
	// Why an entry waits.
	lifecycle.TriggerNotReady: "kubectl describe imagetrigger shows what the trigger lacks; the run starts when the trigger is ready",
	lifecycle.Queued: "none needed: the run starts when others end; if that takes too long, raise the limit that the message names: " +
		"spec.maxConcurrent of the trigger, or --max-concurrent of the controller",
	lifecycle.FactsUnreadable: "check that the trigger's service account may read the image, and that the registry answers",
	lifecycle.RegistryNotAllowed: "let the operator list the host that the message names in the ConfigMap config-registries for the namespace, " +
		"with the host of its token service, or verify the same digest where a listed registry has it; then the run starts by itself",
	lifecycle.FilterInvalid:    "correct spec.filter of the ImageTrigger",
	lifecycle.SandboxUndecided: "restore the Secret revet-sandbox-key, or correct spec.sandbox; then the run starts by itself",
	lifecycle.RetryScheduled:   "none needed: Revet repeats the run, at most as often as spec.retries of the ImageTrigger allows",
	// Why a push has no run.
	lifecycle.FilterFailed: "correct spec.filter of the ImageTrigger",
	lifecycle.Existing:     "to verify images that are older than the trigger, set existing: Verify on the ImageTrigger",
	lifecycle.Superseded:   "kubectl revet replay runs this one; to run all such pushes, set superseded: Verify on the ImageTrigger",
	// Where a run stands.
	lifecycle.SinkUnreachable: "check that the EventListener's Pod is ready, and that network policies let the controller reach it",
	lifecycle.SinkSilent:      "check that the EventListener's Pod is ready, and that network policies let the controller reach it",
	lifecycle.SinkRefused:     "read in the EventListener's log why it refused; kubectl describe imagetrigger shows the address that Revet used",
	lifecycle.SinkRejected:    "correct what answers for the sink, such as an interceptor, a proxy or an authorization policy; then kubectl revet replay",
	lifecycle.SinkInvalid:     "kubectl describe imagetrigger shows why the sink has no usable address",
	// How a run ended.
	lifecycle.Unconfirmed:  "read in the EventListener's log what happened to the request; if the TriggerTemplate uses the run's name, Revet can safely send requests again",
	lifecycle.Misnamed:     "let the TriggerTemplate use the run's name; then kubectl revet replay",
	lifecycle.RunNameTaken: "find out who created a PipelineRun with this name: only the EventListener should",
	lifecycle.Vanished:     "keep finished PipelineRuns for at least 10 minutes before pruning them",
	lifecycle.RunFailed:    "the PipelineRun's conditions and its Pods' logs show what failed; this is not a verdict on the image",
	lifecycle.SandboxUnavailable: "fix what the message names, then kubectl revet replay; if you recreate the RuntimeClass, Revet repeats the run by itself. " +
		"With spec.sandbox.fallback: Default, runs execute outside the sandbox instead",
	lifecycle.RunCancelled:   "to verify the image after all: kubectl revet replay",
	lifecycle.NoVerdict:      `let the Pipeline set the result "verdict" to pass or fail`,
	lifecycle.BadVerdict:     `let the Pipeline set the result "verdict" to pass or fail`,
	lifecycle.DigestMismatch: `let the Pipeline pull the image by the digest it is given, and set the result "digest" to the digest it scanned`,
	lifecycle.NotSandboxed:   "let the TriggerTemplate pass the request's sandbox.runtimeClassName to taskRunTemplate.podTemplate",
	// What a step says, where the same run would end the same.
	lifecycle.ContentCorrupted:  "push the image again; if the run ends the same way, the registry does not store what it receives",
	lifecycle.ContentUnreadable: "rebuild the image with a tool that follows the OCI specification, and push it",
	lifecycle.TooLarge:          "make the image smaller, or raise the limit that the message names in the Task",
	lifecycle.AddressRefused:    "serve the content from the registry itself or from a public address, or list the host in the ConfigMap revet-registries; then kubectl revet replay",
	lifecycle.PushRefused: "let the registry accept OCI artefacts, or set the pipeline's parameter publish to referrers or none; " +
		"then kubectl revet replay --error",
	lifecycle.PackagesUnreadable: "fix what the message names in the image, and push it again",

	lifecycle.DatabaseNotConfigured: databaseCure,
	lifecycle.DatabaseTooOld:        databaseCure,
	lifecycle.DatabaseTooNew:        "upgrade Revet, whose scanner is older than the vulnerability database; then kubectl revet replay --error",
	lifecycle.DatabaseFormat:        databaseCure,
	lifecycle.DatabaseEmpty:         databaseCure,
	lifecycle.DatabaseBroken:        databaseCure,
	lifecycle.DatabaseTampered:      databaseCure,
	// What a step says, where Revet repeats the run.
	"ContentMissing": "check that the registry still has all layers of the image, and push it again if it does not",
	"AccessDenied": "let the run's service account pull the image: add a pull secret to it, or on OpenShift " +
		"oc policy add-role-to-user system:image-puller system:serviceaccount:NAMESPACE:ACCOUNT -n STREAM_NAMESPACE",
	"TimedOut": "check how fast the registry answers; a Task's timeout may be too short for large images",
	"RegistryUnavailable": "check that the registry answers from the cluster; if it speaks plain HTTP or has a certificate authority of yours, " +
		"list it in the ConfigMap revet-registries",
	"RateLimited":     "wait; if it happens often, give the run's service account credentials with a higher limit, or use a mirror",
	"DatabaseMissing": "kubectl revet fill-database; then kubectl revet replay --error",
	// Why a sweep did not see everything.
	"ReadFailed":     "none needed if it passes: Revet tries again; otherwise check that the API server and the registry answer",
	"RecordFailed":   "none needed if it passes: Revet tries again; otherwise read the controller's log",
	"NoImageStreams": "select repositories instead of imageStreams: this cluster has no ImageStreams",
	"RegistryPutOff": "none needed: the next sweep reads the rest; the message says from when on the registry may be asked",
	"SweepPutOff": "none needed: the message says from when on it is swept again; to take less time, select fewer repositories, " +
		"or remove triggers whose registries are slow",
	"RegistryNotSwept": "let the operator list the registry in the ConfigMap config-registries, and give the trigger's service account credentials for it",
	"TooManyTags": "delete tags that nobody needs, then have the rest recorded anew: kubectl delete imageverification ENTRY -n NAMESPACE; " +
		"the digest is verified again",
	"NotRecordable": "the message names the push and what is wrong with it; push it under a valid name",
	// Why coverage does not count a push as covered.
	"NotRecorded":      "wait for the next sweep, which records it; kubectl revet doctor shows why no event did",
	"EntryForged":      "find out who can write ImageVerifications besides Revet (kubectl revet doctor checks the policy), delete the entry and push again",
	"RecordIncomplete": "find out who can write ImageVerifications besides Revet (kubectl revet doctor checks the policy); then kubectl revet replay",
	"RunMissing":       "keep finished PipelineRuns for at least 10 minutes before pruning them; then kubectl revet replay",
	"RunForeign":       "find out who created the PipelineRun; then kubectl revet replay",
	"RunDiffers":       "find out who can write PipelineRuns or ImageVerifications in the namespace; then kubectl revet replay",
	"DigestDiffers":    `let the Pipeline set the result "digest" to the digest it scanned; then kubectl revet replay`,
}

const databaseCure = "fill the vulnerability database (kubectl revet fill-database), or fix what the message names; then kubectl revet replay --error"

// Cure returns what a person can do about a reason, or "" if there is nothing to do or
// the message of the reason says it.
func Cure(reason string) string { return cures[lifecycle.Reason(reason)] }

// CureOf returns the cure of the step error that a message begins with, or else of the
// reason.
func CureOf(reason, message string) string {
	if step := StepError(message); step != "" && lifecycle.Reason(reason) == lifecycle.RunFailed {
		return Cure(step)
	}
	return Cure(reason)
}

// StepError returns the word by which a step said why it failed, from the message of its
// run: RegistryUnavailable of "fetch: RegistryUnavailable: connection refused". It
// returns "" if the step said nothing.
func StepError(message string) string {
	_, said, _ := strings.Cut(message, ": ")
	word, _, _ := strings.Cut(said, ":")
	if _, known := lifecycle.StepErrors()[lifecycle.Reason(word)]; known {
		return word
	}
	return ""
}
