// Package tekton is the adapter of what starts runs: a Tekton
// EventListener, or another Addressable that takes the same request.
//
// Contract:
//
//   - Resolve turns a trigger's sink into the URL to post to. A ref is read live
//     and only in the trigger's own namespace, through the Addressable duck type
//     (status.address.url, else the first of status.addresses); a uri is used
//     only if its host is listed for the namespace. What the user or the operator
//     can cure is a *SinkError with a Reason and the cure; any other error is the
//     API server's and transient.
//   - Check reads an EventListener, its Triggers, bindings and TriggerTemplates,
//     and evaluates them for sample requests with Tekton's own resolution code, so
//     that what it accepts is what the listener will create. Its Report says
//     whether a request may be sent again (Confirmable) and what is wrong, each
//     Finding with its cure. That a listener says of itself that it is not ready
//     is a warning. A sink of another kind cannot be checked.
//   - MayCreateRuns and MayGetImageStream ask the API server whether an account
//     has the rights that a trigger needs; HasServiceAccount and RuntimeClassSince
//     whether what it names exists.
//   - Send posts one request as a binary CloudEvent: no redirects, bounded in time
//     and in what it reads. After its context's deadline it writes nothing, also if
//     the process was stopped on the way, and what was not sent by then is dropped,
//     not left to the kernel. Its error is a *SendError that says whether the same
//     request may succeed later and whether it may have arrived.
//
// # The request
//
// Type dev.revet.verification.requested.v1, id = the run's name, subject =
// repository@digest, source = the ImageTrigger's path; extensions
// imagerepository, imagetag, imagedigest and verifycause. The data is a
// RequestData. Every field of it is always there, empty if unknown, because a
// binding that reads a missing field makes a listener drop the whole request
// after it answered 202. Only sandbox.runtimeClassName is left out if the trigger
// asks for none, so that the default of a template's parameter holds.
package tekton
