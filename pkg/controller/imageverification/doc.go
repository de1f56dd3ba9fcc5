// Package imageverification drives an entry of the ledger from a recorded push
// to a verdict: it enriches and filters, decides, fires the EventListener,
// confirms the PipelineRun, follows it and records its outcome.
//
// Contract: what happens is decided by package verdict; a Reconciler reads,
// asks verdict.Next, does one step, writes it, and asks again, until there is
// something to wait for. Every step can be repeated: a process that ends between
// any two of them loses nothing and starts nothing twice, because a run's name
// follows from the entry's UID and the run's number, and a PipelineRun's name is
// taken once only.
//
// The order of writing and firing depends on what a repetition would do:
//
//   - Run 1 of an entry whose trigger is confirmable is fired first and recorded
//     when it is seen, or after 50 ms without it. Creating the entry was its
//     intent, so nothing has to be written before. A crash in between sends the
//     same request again, whose PipelineRun exists already.
//   - Any other run is recorded first (the run, firedAt, attempts) and fired
//     after. A crash in between costs the time until the run is missed, ten
//     seconds, and then the request is sent; to a sink that cannot be confirmed
//     it is not sent again, and the run ends as Unconfirmed.
//
// Runs are bounded by each trigger's maxConcurrent and by Options.MaxConcurrent of
// all triggers. The queue is the ledger: what is kept in memory is which entries
// have a run, taken from each change that is seen or made, and who asked for a
// slot and in which order. A process that ends loses nothing but that, and whoever
// waits asks again. With several leaders each grants for itself, so that a bound
// may be exceeded by what they grant at the same moment. A run that was requested
// and does not appear keeps its place in its trigger's bound and gives that in the
// other one to others, so that a broken listener holds up nobody else. Among triggers the one
// with the fewest runs goes first, and of those with as few the one that waited
// longest for its turn.
//
// A sink that answers 429 or 503 with Retry-After is left alone for that long, for
// all runs of the trigger. Before a request is sent again it is looked, besides for
// the run, for a PipelineRun that carries the run's label under another name: the
// request may have met a template that was broken since it was checked, and mended
// since. Then the run ends as Misnamed, and no second one is started.
//
// Requests to the API server on the way from a push to its PipelineRun: one GET
// of the Image object. After it: one status update that records and confirms the
// run, which the watch of PipelineRuns shows or else a live GET; then one LIST of
// the run's Pods and one status update for the outcome. Kubernetes Events are
// recorded when an entry is decided, or in trouble, in the background and never
// before the run exists; that it exists is told by the run.
//
// Writes go through Ledger, against the resourceVersion that was decided upon: a
// conflict means deciding again. A request is sent only under Lease.Hold, whose
// context ends before the lease does. No clock can see that a process was stopped
// right after it looked at one; that is why the order above is right without any
// lease: a second request for a confirmable run meets its name, and the attempt
// to send any other is written by one process only, which alone may send it.
//
// Interfaces are implemented in the wiring: Sink by pkg/tekton, Facts by
// Image objects and pkg/source/registry, Emitter by pkg/controller/events, Lease by the leader
// election. Trouble answers imagetrigger's Runs. Log fields: push, digest, run,
// entry, trigger, namespace.
//
// Metrics: revet_requests_total{result}, result being accepted or the reason why
// not; revet_runs_total{outcome,reason,cause,class,route},
// class being the RuntimeClass that the run's Pods had and route why the trigger's was
// not asked for, if so (Excluded, OutsideWeight, FellBack);
// revet_confirm_seconds, from the
// latest request to the run being seen; from a push being recorded
// revet_push_to_fire_seconds, revet_push_to_confirm_seconds and
// revet_push_to_verdict_seconds; from the time that the repository shows for it, in
// whole seconds of its clock, revet_pushed_to_run_seconds and
// revet_pushed_to_verdict_seconds, for runs whose cause is a push. Gauges by
// namespace and trigger: revet_entries{phase} and revet_runs_under_way, the same in
// every replica (aggregate by max), and revet_queue_length and
// revet_queue_oldest_seconds, of those that wait for a slot, at the leader.
package imageverification
