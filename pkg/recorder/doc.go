// Package recorder records pushes in the ledger. The receiver, the sweeps and coverage all
// record through Recorder.Record, so a push means the same to each of them.
//
// Contract, for one push that the ledger does not cover:
//
//  1. Weigh. A push whose Image object shows that it runs is recorded at once. For any
//     other push, only content that was read from the registry and recomputed against the
//     digest can prove that it cannot run.
//  2. Exempt. A push that is proven not to run is Exempt and is not recorded. The Recorder
//     remembers the digest. If the registry's word is part of that, it is remembered for the
//     namespace of the trigger and the repository alone.
//  3. Record. Everything else is recorded, and so is a push that the registry refuses to
//     show: the run finds out what it is. An answer that may pass is not waited for in an
//     ImageStream, which shows its history later too. In a registry it is: the digest may
//     be gone by then, and only a repeated look can tell.
//  4. Report. What was recorded is counted and logged, once.
//
// Record returns what it did as an Outcome. The zero Outcome means that the push is not
// recorded and that a retry may record it.
//
// Metrics: revet_pushes_recorded_total{source}, revet_push_to_record_seconds{source}.
package recorder
