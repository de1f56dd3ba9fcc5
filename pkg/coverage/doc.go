// Package coverage says whether Revet kept its promise: that each push which an ImageTrigger
// answers for is in the ledger, and has one run for each cause.
//
// Contract: FromStatus and Verify give a Report of each trigger, with one of three states.
// Covered: everything was seen, and nothing is missing. Gap: a push is missing for certain, or
// a run is doubled. NotKnown: something could not be seen; Report.Unknown says what, why, and
// what to do. What could not be seen is never covered.
//
// A Report counts pushes: Pushes = Covered + Gap. Of the covered, Pending have no verdict yet,
// Failed ended in Error, Skipped have nothing to verify, and the rest have their verdict.
// Artefacts are not among them: their content proves that they cannot run. Recovered are those
// that a sweep recorded because no event brought them. A push that may be an artefact, and
// cannot be read, counts in Gap and makes the trigger NotKnown.
//
//   - FromStatus is pure. It takes what the latest sweep wrote into the trigger's status, if the
//     sweep is of the present spec and young enough, and the ledger's word for the rest.
//   - Verify reads every stream and repository again, by the very code that sweeps run (package
//     sweep, with a ledger that writes nothing), and does not take the ledger's word on runs:
//     an entry that claims a run or a verdict covers nothing unless the record is that of the
//     entry's own digest and name, and the PipelineRun exists and says the same, or ended long
//     enough ago to have been pruned. Two PipelineRuns for one cause, and one that the ledger
//     does not know of, are Doubled.
//
// Verify reads once more what looks wrong before it says so: pushes and runs go on meanwhile. A
// push of the very last moment, whose event is still under way, is a gap until it is recorded.
package coverage
