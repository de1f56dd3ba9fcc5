// Package sweep finds the pushes that no event brought: it compares what
// ImageStreams and registries show with the ledger.
//
// Contract: a sweep is done on request and never holds up whoever asks: Run works
// requests off, streams and registries each in their own loop, so that a registry
// that stalls holds up nothing else. All triggers that wait are served by one pass
// over the streams. What counts as a push is decided by the functions that the
// receiver uses (selector, ledger.WithinScope, push.Detect, image.Content), and is
// recorded with source sweep.
//
//   - Streams are listed from the API server, 500 at a time or fewer where they are
//     long, over connections of its own, and what is read of them is no more than
//     decisions need: a pass holds one page, whatever the number of streams. A list that the
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
//   - A registry that asks for patience (source.RetryAfterError), or does not answer
//     several times in a row, is left alone for the rest of the sweep, which says
//     until when; requests to each are paced.
//   - One stream's, tag's or registry's failure never stops the rest. What could
//     not be seen is the Result's Reason and Message.
//
// What a sweep counts: Pushes are those that are shown and that the trigger answers
// for: what its selectors admit since it was made, what cannot run and what its
// account may not see left out. In a registry, which shows no times, these are the
// heads, those that were there before the trigger among them. Gap is how many of
// them the ledger did not cover in the end, as recording or reading them failed.
// Recovered are those that the sweep recorded, each with why it had been missed as
// far as can be known (Missed).
//
// A sweep is idempotent, and safe beside receivers and other sweeps. A crash in
// between costs that it is done again.
//
// Once does one outside of Run, at once; with a Ledger that writes nothing it only
// looks, with the very functions that record.
//
// When: the reconciler of ImageTriggers asks for one when it first sees a trigger
// (so at start, and whenever a process becomes leader), when the trigger's spec
// changes, every ten minutes with jitter (--sweep-interval), and after a gap that
// the process can know of: its own watch of the ledger had to begin again from a
// list, as it does when the API server was started again, was away for longer than
// its watches remember, or lost its cache. What breaks that watch breaks those of
// the sources too. Not known, and bounded by the period, is what befalls a source
// or the way from it alone: an adapter that is down or restarts, an event that is
// dropped after its retries, a receiver that nothing reaches, a registry that does
// not notify. Watching every ImageStream beside the source would tell of these, and
// cost memory in proportion to the cluster.
//
// Log fields: push, digest, entry, trigger, namespace, reason, missed, source.
// Metrics: revet_pushes_shown{namespace,trigger} and
// revet_coverage_gap{namespace,trigger} of the latest sweeps,
// revet_sweep_recovered_total{reason}, revet_pushes_recorded_total{source} and
// revet_push_to_record_seconds{source} beside the receiver's,
// revet_sweeps_total{part,result}, revet_sweep_duration_seconds{part}.
package sweep
