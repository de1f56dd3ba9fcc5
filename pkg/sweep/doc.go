// Package sweep finds the pushes that no event brought: it compares what ImageStreams and
// registries show with the ledger.
//
// Contract: Request asks for a sweep and returns at once. Run serves the requests: streams in
// one loop, and registries beside it, so that a registry that stalls holds up no stream. One
// pass over the streams serves all triggers that wait. Registries are asked for eight triggers
// at once, two of one namespace, and namespaces take turns: a registry that is slow, or lists
// without end, holds up the namespace that selects it. One that used up ten minutes in ten
// goes last, and what is put off is told (SweepPutOff). So is what the triggers of a namespace
// would take beyond their share of a pass over the streams. The functions that the receiver uses
// (selector, ledger.WithinScope, push.Detect, image.Content) decide what is a push, and a sweep
// records it with source sweep.
//
//   - A sweep lists streams from the API server, 500 at a time or fewer where they are long,
//     over connections of its own, and keeps one page. A list that the server no longer
//     continues (410) begins again; what the sweep recorded stays covered.
//   - A trigger sees only streams that its account may get. The sweep asks with a
//     SubjectAccessReview for all namespaces, else for one, else for the stream, and believes
//     an answer for a minute. It asks where nothing is new, too: an account that sees nothing
//     would miss the next push.
//   - A registry shows no times. The first complete sweep of an entry of spec.images records
//     what is there as existing, which ends as Skipped/Existing, unless the trigger says
//     existing: Verify. From then on the entry is in the trigger's status.baselines, and a
//     change of a tag is a push. A tag that can never be read does not hold this up. A pattern
//     without wildcards is one repository; one with wildcards needs the registry's catalogue.
//   - Options bound each list of a registry in time and length, and the bytes of the names
//     that the sweeps of one namespace keep. A list that is cut off, breaks off or ends with a
//     404 after its first page is not complete.
//   - A sweep leaves a registry alone for its rest if that asks for it
//     (source.RetryAfterError), or does not answer several times in a row. It paces its
//     requests.
//   - The failure of one stream, tag or registry never stops the rest.
//
// What a sweep counts: Pushes are those that the trigger answers for: what its selectors admit
// since it was made, without what cannot run and what its account may not see. In a registry,
// which shows no times, these are the heads, including those from before the trigger. Gap is
// how many of them the ledger did not cover in the end, as recording or reading them failed.
// Recovered are those that the sweep recorded, each with why it had been missed as far as
// anybody can know (Missed). Unknown is what the sweep could not see, by reason, with a cure.
// Result.Coverage makes one of three values of it: what could not be seen is never covered.
//
// A sweep is idempotent, and safe beside receivers and other sweeps. After a crash it is done
// again.
//
// Once does one sweep without Run. With a Ledger that writes nothing it only looks, with the
// very functions that record.
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
// Metrics: revet_pushes_shown{namespace,trigger} and revet_coverage_gap{namespace,trigger} of
// the latest sweeps, without a gap of 0 where revet_coverage_not_known{namespace,trigger,reason}
// counts what the sweep could not see,
// revet_sweep_recovered_total{reason}, revet_pushes_recorded_total{source} and
// revet_push_to_record_seconds{source} beside the receiver's,
// revet_sweeps_total{part,result}, revet_sweep_duration_seconds{part}.
package sweep
