// Package verdict decides what happens to an entry of the ledger: whether a push
// needs a run, what the run's next step is, and what its end means.
//
// Contract: everything here is pure. Next takes an entry, its trigger, what was
// seen of the run, and the time, and returns one Decision: an Action with a
// typed Reason. Judge takes a finished PipelineRun and its Pods and returns the
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
package verdict
