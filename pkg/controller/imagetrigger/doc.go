// Package imagetrigger checks ImageTriggers and says in their conditions whether
// their pushes can be verified, and what to do if not.
//
// Contract: a pass reads (observe), decides without effects (decide), and writes
// the status only if it differs. Conditions, and what Ready makes of them:
//
//	FilterValid       the filter, the selectors and the exclusions compile
//	SinkResolved      the sink has an address that may be used
//	TemplateAccepted  what the sink starts is named after the run and runs in the
//	                  requested sandbox, whose RuntimeClass exists; Unknown for a sink
//	                  that cannot be looked into, which does not keep it from Ready
//	SandboxAvailable  the RuntimeClass exists; False with a fallback to the default
//	                  runtime does not keep it from Ready
//	Authorized        the service account exists and sees at least one of the
//	                  selected namespaces; the listener's account may create runs
//	Swept             the latest sweep saw all that is selected; not part of Ready
//	Confirmed         the runs that were requested appeared. False with what the oldest
//	                  run says that was requested twice and did not; not part of Ready,
//	                  as a request that is sent again is the cure
//
// A listener that has an address and says of itself that it is not ready is used:
// SinkResolved stays True, with that as its message.
//
// Whether pushes are recorded does not depend on any of them: a trigger is swept
// as soon as its selectors compile, before its sink is looked at, and its pushes
// wait in the ledger until it is ready.
//
// A trigger is looked at when its spec changes, when something in its namespace
// that its sink depends on changes (Dependencies), when a sweep of it ends, 2 s
// after a run was requested that has not appeared then (EntryHandler; at most every
// 5 s, whichever process requested it), and otherwise every two minutes; while it is
// in trouble after 2 s, and then more and more rarely, up to every 30 s, with jitter.
// Rights are not watched: these looks find that they are gone, or granted. It is
// swept when it is first seen, after a change of its spec, every ten minutes, 30
// seconds after a sweep that failed (twice as long each time, up to ten minutes) or
// when a registry that put one off allows it, and after a gap (Gap). What a sink
// needs is read from the API server, never from a cache. An
// API server that does not answer changes no condition.
//
// Inspect tells what a pass would find, for whoever diagnoses a trigger.
//
// Deleting a trigger leaves its entries. Kubernetes Events are recorded when Ready
// changes, for what is a warning only, and when a sweep recovered pushes. What the latest sweep counted is status.lastSweep.
//
// Interfaces: Sinks and Rights are implemented by pkg/tekton's Checker,
// Sweeps by pkg/sweep's Sweeper, Runs by package imageverification. Log fields: trigger, namespace, reason.
package imagetrigger
