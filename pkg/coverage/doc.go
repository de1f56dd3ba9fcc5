// Package coverage says whether the promise was kept: that each push which an
// ImageTrigger answers for is in the ledger, and has one run for each cause.
//
// Contract: FromStatus and Verify give a Report for each trigger. A Report counts
// pushes: Pushes = Covered + Gap; of the covered, Pending have no verdict yet,
// Failed ended in Error, Skipped have nothing to verify, and the rest have their
// verdict. Artefacts are shown besides, and exempt as their content proves that they
// cannot run. Recovered are those that a sweep recorded because no event brought
// them. What could not be looked at is Unknown, and never counts as covered.
//
//   - FromStatus is pure: it takes what the latest sweep wrote into the trigger's
//     status, and the ledger's word for the rest.
//   - Verify reads every stream and repository again, by the very code that sweeps
//     do (package sweep, with a ledger that writes nothing), and does not take the
//     ledger's word on runs: an entry that claims a run or a verdict covers nothing
//     unless the record is that of the entry's own digest and name, and the
//     PipelineRun exists and says the same, or ended long enough ago to have been
//     pruned. Two PipelineRuns for one cause, and one that the ledger does not know
//     of, are Doubled.
//
// What looks wrong is read once more before it is told: while it is read, pushes
// and runs go on. A push of the very last moment, whose event is still under way,
// is a gap until it is recorded.
package coverage
