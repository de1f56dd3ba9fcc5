// Package tekton is the only package that speaks Tekton: it finds a trigger's sink,
// checks what the sink starts, requests runs from it, and reads and cancels them. A sink
// may also be another Addressable that takes the same request.
//
// Example: an ImageTrigger names the EventListener "scan". Resolve finds its address,
// Check reads its templates, Sender.Send posts a request for the run "app-4f2a-1", the
// listener creates the PipelineRun of that name, and GetRun reads it.
//
// # The request
//
// A binary CloudEvent of type dev.revet.verification.requested.v1 (RequestType):
//
//	id                the run's name
//	source            the path of the ImageTrigger on the API server
//	subject           repository@digest
//	ce-imagerepository, ce-imagetag, ce-imagedigest, ce-verifycause
//	                  extensions, for the CEL interceptors and filters of others
//	body              RequestData as JSON
//
// What goes to an EventListener has the header Revet-Signature besides, of package runrequest, by
// which the listener's interceptor tells it from the requests of others.
//
// A listener binds body fields, for example $(body.image.digest). Every field is always
// there, empty if it is not known: if a binding reads a missing field, a listener drops
// the request after it has answered 202. Only fields of sandbox are left out, so that the
// default of a template's parameter applies.
//
// # The run
//
// The PipelineRun must carry what Revet recognises it by. Check refuses templates that
// leave any of it out:
//
//	metadata.name                               the run's name: $(body.run)
//	metadata.labels[revet.dev/run]              the run's name: $(body.run)
//	metadata.annotations[revet.dev/entry-uid]   $(body.entryUID)
//	metadata.annotations[revet.dev/digest]      $(body.image.digest)
//
// The name confirms a run: sending a request again cannot start a second PipelineRun of
// the same name. The label finds runs that have another name. The annotations keep a
// run of another entry from being taken for this one.
//
// To change how a run is confirmed, change RunFrom (what is read), judgeIdentity (what
// a template must do) and the newRequest functions (what a template can use). What
// follows from it is decided in package lifecycle.
//
// The run ends with the results that package runresult names. Its Pods carry Tekton's
// labels tekton.dev/pipelineRun and tekton.dev/taskRun. CancelRun sets spec.status to
// Cancelled.
//
// # The parts
//
//   - Checker.Resolve turns a sink into a URL. It reads a ref live, and only in the
//     trigger's namespace, through the Addressable duck type: status.address.url, else
//     the first of status.addresses. It accepts a uri only if config-sinks lists its host
//     for the namespace. What the user or the operator can fix is a *SinkError with a
//     Reason and the fix; any other error is the API server's, and transient.
//   - Checker.Check evaluates an EventListener, its Triggers, bindings and templates for
//     sample requests, with Tekton's own code, so that what it accepts is what the
//     listener creates. The Report says whether a request may be sent again
//     (Confirmable), which accounts create and execute the run, and what is wrong. It knows
//     Revet's own interceptor, which lets requests of Revet pass, and no others; what other
//     interceptors do it cannot know.
//   - Checker.MayCreateRuns, HasServiceAccount and RuntimeClassSince answer whether what
//     a run needs is there.
//   - Sender posts one request: without redirects, bounded in time and in what it reads. It
//     connects to a Service of the cluster at the address that the API server shows, unless an
//     operator lists the host.
//     After its context's deadline it writes nothing, even if the process was stopped on
//     the way, and the kernel does not send it later. A *SendError says whether the
//     request may have arrived and whether sending it again can succeed.
//   - RunFrom, PodFrom, GetRun, ListRuns, ListPods and ListTaskFailures read what decisions
//     need to know of a run. TrimRun keeps in a cache what tells that there is something to read.
package tekton
