// Package lifecycle decides what happens to an entry of the ledger: whether a push
// needs a run, what the run's next step is, and what its end means.
//
// Contract: everything here is pure. Next takes an entry, its trigger, what was
// seen of the run, and the time, and returns one Decision: an Action with a
// typed Reason. RankOf says who goes first among entries that wait for a run of
// their trigger, and Supersede whether one is given up for newer pushes. Judge takes a finished PipelineRun and its Pods and returns the
// outcome. The functions in transition.go write a decision into a status and do
// nothing else. Whoever calls them does the effects in between.
//
// Zero values are safe: an Action, a Sighting or a Trigger that was not set
// leads to nothing being done, to a look, or to waiting; an outcome that was not
// set is no pass. The same Reason goes to the status, events, logs, metric
// labels and the command line.
//
// The life of an entry, as phases:
//
//	Pending    recorded, or waiting: the reason says for what
//	Requested  a run was decided and its request sent, or being sent
//	Running    the PipelineRun exists and carries this entry's marks
//	Passed, Failed, Error, Skipped   decided, until the next push
//
// # Order
//
// New pushes go before what somebody asked for, and that before retries; a run
// that vanished counts as a push. Among pushes the oldest goes first, but one all
// of whose tags were pushed again goes right after the first of those pushes:
// what a tag shows now is overtaken by nothing older of the same tag, no other
// push waits for it, and none is lost. Only where the trigger says
// superseded: Skip is such a push given up, as Skipped/Superseded, and only if no
// tag shows its digest any more and no run of it exists. Two pushes of one second
// are in no order, so that neither supersedes the other.
//
// # Retries
//
// Of the ways in which a run ends without a verdict a repetition can cure two:
// RunFailed and SandboxUnavailable. It follows after 10 s, 30 s, 90 s, ... up to 5 min,
// each up to a quarter later, spec.retries times, with the cause {Retry, the earlier
// run}; then the entry ends as Error and says how many attempts were made. A step says
// why it failed in its result "error"; if that begins with a word of the table
// stepErrors that no repetition cures, such as ContentCorrupted or TooLarge, that word
// is the reason and there is none. NotAnImage, said of the digest that was pushed, ends
// the entry as Skipped, and covers further pushes as a verdict would. Not repeated either are
// failed checks, which are a verdict; NoVerdict, BadVerdict, DigestMismatch and
// NotSandboxed, which the same template and pipeline would give again;
// Unconfirmed and Misnamed, which a repetition could double; and RunCancelled,
// which somebody wanted. A new push or a manual request does not wait for a retry,
// and takes its place. Whether there is a retry is written with the run's end, and
// how many there were is counted in the ledger, so that a crash changes neither.
//
// # Confirmation
//
// A request that the sink took is missed after 10 s, and sent again then and in
// growing times, up to 30 s, if nothing but the run of its name can come of it
// (Confirmable). Otherwise the run ends as Unconfirmed; that a request may not be
// repeated stands in the ledger from before it is sent. While the trigger is not
// ready its reason is the entry's, from 2 s after the request on, and no request
// is sent or given up; when it is ready again the next one follows at once.
package lifecycle
