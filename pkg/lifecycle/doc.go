// Package lifecycle decides what happens to an entry of the ledger: whether a push needs a
// run, what the next step is, and what the end of a run means.
//
// Contract: everything here is pure. Next takes an entry, Facts and the time, and returns one
// Decision: an Action with a typed Reason. The caller does what the action says, which finds
// out a fact, sends a request or writes the status, and asks again. The functions named
// Record... write a decision into a status and do nothing else.
//
// Zero values are safe: with facts that nobody found out, Next asks for them, or waits; an
// Outcome that was not set is no pass. The same Reason goes to the status, events, logs,
// metric labels and the command line.
//
// Where to find what:
//
//	next.go          the actions, and what a crash around each causes
//	facts.go         what Next has to know
//	cause.go         the causes of a run: one row each
//	start.go         the stages of a new run: trigger, newer pushes, queue, image, sandbox, request
//	confirm.go       how a run is confirmed: rules and times
//	startfailure.go  runs whose Pods do not start
//	retry.go         what is repeated, and when
//	judge.go         what the end of a run means
//	verdict.go       what a verdict rests on, and the pushes that it covers
//	steperror.go     the errors of steps that no repetition cures
//	queue.go         the order of the queue
//	timing.go        all other times
//	transition.go    the writes into a status
//
// The phases of an entry:
//
//	Pending    recorded, or waiting: the reason says for what
//	Requested  a run was decided, and its request was sent or is being sent
//	Running    the PipelineRun exists and has this entry's marks
//	Passed, Failed, Error, Skipped   decided, until the next push
//
// # Order
//
// New pushes go first, then manual requests, then retries, then renewals; a run that vanished
// counts as a push. A renewal is a manual request whose id begins with RenewalPrefix. Among pushes the oldest goes first. If all tags of a push were pushed again, it goes
// right after the first of those pushes: what a tag shows now never waits for an older push
// of the same tag, no other push waits for it, and none is lost. With superseded: Skip the
// trigger gives such a push up, as Skipped/Superseded, if no tag shows its digest any more
// and no run of it exists. Two pushes of one second have no order, so that neither
// supersedes the other.
//
// # Retries
//
// Revet repeats a run that ended as RunFailed or SandboxUnavailable: after 10 s, 30 s, 90 s,
// ... up to 5 min, each up to a quarter later, spec.retries times, with the cause {Retry,
// the earlier run}. Then the entry ends as Error and says how many attempts were made. A step
// says why it failed in its result "error". If that begins with a word of stepErrors that no
// repetition cures, such as ContentCorrupted or TooLarge, the word is the reason and the run
// is not repeated. NotAnImage, of the digest that was pushed, ends the entry as Skipped and
// covers further pushes as a verdict does. Nor does Revet repeat a failed check, which is a
// verdict; NoVerdict, BadVerdict, DigestMismatch and NotSandboxed, which the same template
// and pipeline would give again; Unconfirmed and Misnamed, which a repetition could double;
// SinkRejected, whose request would meet the same answer; and RunCancelled, which a person
// wanted. A new push or a manual request replaces a scheduled retry. The write of a run's end
// says whether a retry follows, and the status counts them, so that a crash changes neither.
//
// # Confirmation
//
// Only a PipelineRun of the run's name and with Revet's marks proves that a request started
// the run. A request is sent again if none appears in time, unless a second one could start a
// second run: then the run ends as Unconfirmed or Misnamed. confirm.go has all the rules.
package lifecycle
