// Package imageverification drives an entry of the ledger from a recorded push to a verdict.
//
// Contract: lifecycle.Next decides everything. A Reconciler gathers facts, asks Next, does
// the one step that it returns, and asks again, until there is something to wait for. It has
// one case for each action and builds no decision. Every step can be repeated: a process
// that ends between any two of them loses nothing and starts nothing twice, because a run's
// name follows from the entry's UID and the run's number, and only one PipelineRun can have
// that name. What a crash around a step causes stands with each lifecycle.Action.
//
//	reconciler.go    options, the loop, one case for each action
//	gather.go        what is found out: the run, the slot, the image, the route
//	fire.go          what is sent
//	record.go        what is written
//	startfailure.go  Pods that do not start
//	runqueue.go      the bounds of runs, and what holds a slot
//	runqueue_share.go  who goes first, and what one namespace may have
//	turns.go         what one namespace may take of the workers
//	failing.go       namespaces where run after run fails
//	remembered.go    what a process remembers between two passes
//
// The order of writing and firing depends on what a repetition would do:
//
//   - The first run of an entry is fired first, if its trigger is confirmable, and recorded
//     when it is seen, or after lifecycle's recordWindow without it. Creating the entry was
//     the intent, so that nothing has to be written before. After a crash in between, the same
//     request is sent again and meets a PipelineRun that exists.
//   - Any other run is recorded first (the run, firedAt, attempts) and fired after. A crash
//     in between costs lifecycle's confirmWindow, until the run is missed and its request is
//     sent. A sink that cannot be confirmed gets no second request: the run ends as
//     Unconfirmed.
//
// Each trigger's maxConcurrent bounds its runs, and Options.MaxConcurrent those of all
// triggers. The ledger is the queue: memory holds only which entries have a run, taken from
// each change that is seen or made, and which entries asked for a slot, in which order. A
// process that ends loses only that, and entries that wait ask again. Each of several leaders
// grants for itself, so that they can exceed a bound by what they grant at the same moment. A
// stuck run releases its global slot but keeps its trigger's, so that one broken listener
// cannot block other triggers; so does one that takes longer than Options.LongestRun, whose
// entry says so. The class of a cause goes first in all namespaces, then the namespace with
// the fewest runs, then its trigger with the fewest; of those with as few the one that waited
// longest for its round. One namespace leaves Options.Reserve slots to others while these
// have triggers. Where run after run of a namespace fails, repetitions wait longer.
//
// A pass that sends a request needs a turn of its namespace: at most four of one have it at once
// where that is slow, as with a sink or a registry that hangs, and namespaces take turns.
//
// A sink that answers 429 or 503 with Retry-After gets no request of the trigger for that
// long. Before resending, the controller also checks for a PipelineRun that has the run's
// label under another name: the request may have met a template that was broken, and was
// repaired since. Then the run ends as Misnamed, and no second one starts.
//
// A controller that sees an entry deleted, and its push recorded again, runs it for the cause
// Recreated. A controller that started in between takes it for a push.
//
// Requests to the API server on the way from a push to its PipelineRun: one GET of the Image
// object. After it: one status update that records and confirms the run, which the watch of
// PipelineRuns shows, or else one GET; then one LIST of the run's Pods and one status update
// for the outcome. Kubernetes Events are recorded when an entry is decided, or in trouble, in
// the background and never before the run exists.
//
// All writes go through Ledger, against the resourceVersion that was decided on: a conflict
// means deciding again. A request is sent only under Lease.Hold, whose context ends before
// the lease does. A process cannot see that it was stopped right after it looked at a clock,
// so the order above is right without any lease: a second request for a confirmable run meets
// its name, and only the process that wrote the attempt to send any other request sends it.
//
// The wiring implements the interfaces: Sink with pkg/tekton, Facts with Image objects and
// pkg/source/registry, Emitter with pkg/controller/events, Lease with the leader election.
// Trouble answers imagetrigger's Runs. Log fields: push, digest, run, entry, trigger,
// namespace.
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
// every replica (aggregate by max), as is revet_runs_overdue, which is absent while it is 0;
// and revet_queue_length and revet_queue_oldest_seconds, of those that wait for a slot, at
// the leader.
package imageverification
