// Package sweep finds the pushes that no event brought: it compares what
// ImageStreams and registries show with the ledger.
//
// Contract: a sweep is done on request and never holds up whoever asks: Run works
// requests off, streams and registries each in their own loop, so that a registry
// that stalls holds up nothing else. All triggers that wait are served by one pass
// over the streams. What counts as a push is decided by the functions that the
// receiver uses (selector, ledger.Bounded, push.Detect, image.Content), and is
// recorded with source sweep.
//
//   - Streams are listed from the API server, 500 at a time, and converted one by
//     one: a pass holds one page, whatever the number of streams. A list that the
//     server no longer continues (410) begins again; what was recorded is covered.
//   - A trigger sees only streams that its account may get, asked with a
//     SubjectAccessReview for each namespace, else for each stream, and only
//     where there is something new; answers are believed for a minute.
//   - A registry shows no times. The first complete sweep of an entry of
//     spec.images records what is there as existing, which ends as
//     Skipped/Existing, unless the trigger says existing: Verify; from then on
//     the entry is among the trigger's status.baselines, and a change of a tag is a
//     push. A pattern without wildcards is one repository; one with wildcards
//     needs the registry's catalogue.
//   - One stream's, tag's or registry's failure never stops the rest. What could
//     not be seen is the Result's Reason and Message.
//
// A sweep is idempotent, and safe beside receivers and other sweeps. A crash in
// between costs that it is done again.
//
// When: the reconciler of ImageTriggers asks for one when it first sees a trigger
// (so at start, and whenever a process becomes leader), when the trigger's spec
// changes, and every five minutes with jitter. A gap of a source's watch cannot
// be seen from here and is what the period bounds; watching every ImageStream
// beside the source would cost memory in proportion to the cluster.
//
// Log fields: push, digest, entry, trigger, namespace, reason.
// Metrics: revet_sweep_recovered_total, revet_sweeps_total{part,result},
// revet_sweep_duration_seconds{part}.
package sweep
