// Package imagetrigger checks ImageTriggers. Their conditions say whether pushes can be
// verified and, if not, what to do.
//
// Example: a trigger names an EventListener that does not exist. SinkResolved becomes
// False with reason SinkNotFound and the fix in its message, and so does Ready. Pushes
// are recorded all the same, and run once the listener is there.
//
// A pass reads (observe), decides without side effects (decide), and writes the status
// only if it differs. These conditions count for Ready:
//
//	FilterValid       the filter, the selectors and the exclusions compile
//	SinkResolved      the sink has an address that may be used
//	TemplateAccepted  the sink names what it starts after the run, and puts it into the
//	                  requested sandbox, whose RuntimeClass exists. Unknown for a sink
//	                  that Revet cannot inspect, which does not keep a trigger from Ready
//	Authorized        the service account exists and sees at least one of the selected
//	                  namespaces; the listener's account may create runs
//
// These do not:
//
//	SandboxAvailable  the RuntimeClass exists. If the trigger falls back to the default
//	                  runtime, this alone is False
//	Swept             the latest sweep saw everything that is selected
//	Confirmed         requested runs appeared. False with what the oldest run says that
//	                  was requested twice and did not; the request is sent again
//	PullAllowed       the service account of the runs may pull from the selected
//	                  namespaces other than the trigger's own. The template's PipelineRun
//	                  names the account. Unknown if the account or an answer is not known.
//	                  Absent if no other namespace is selected
//
// A listener that has an address but reports that it is not ready is used: SinkResolved
// stays True, with that report as its message.
//
// Recording depends on none of them. A trigger is swept as soon as its selectors compile,
// before its sink is checked, and its pushes wait in the ledger until it is ready.
//
// # When
//
// A trigger is checked when
//
//   - its spec changes,
//   - something in its namespace changes that its sink depends on (Dependencies),
//   - a sweep of it ends,
//   - a requested run has not appeared after 2 s (EntryHandler; at most every 5 s,
//     whichever process requested the run),
//   - and otherwise every two minutes. A trigger in trouble is checked after 2 s and then
//     more and more rarely, up to every 30 s, with jitter.
//
// Rights are not watched: the regular checks find that they were granted or revoked.
//
// A trigger is swept when it is first seen, when its spec changes, every ten minutes, when
// SweepAll is called, and after a sweep that failed: after 30 s, then twice as long each
// time, up to ten minutes, or when a registry that asked for a pause allows it.
//
// Six triggers are checked at once, of one namespace whose checks are slow two, and namespaces
// take turns: what one team does with thousands of triggers, or with what they depend on, does
// not keep another's from being checked. A sweep is requested before, and waits for no check.
//
// What a sink needs is read from the API server, never from a cache. If the API server
// does not answer, no condition but PullAllowed changes.
//
// Deleting a trigger leaves its entries. Kubernetes Events record changes of Ready,
// Confirmed and PullAllowed, warnings about the sink, and sweeps that recovered pushes.
// status.lastSweep holds what the latest sweep counted.
//
// Inspect returns what a pass would find, for kubectl revet doctor.
package imagetrigger
