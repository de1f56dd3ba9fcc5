// Package intake is the receiver: it takes what says that an image may have
// been pushed, finds out what was, and records it.
//
// Contract, stage by stage:
//
//  1. decode. What is no CloudEvent, or of a known type and undecodable, is
//     refused for good. Other types, deletes, Image events and what Revet,
//     Tekton or a Broker's loop sent are seen and passed over.
//  2. select and compare, from caches only. An event that shows nothing that the
//     ledger does not cover costs no request.
//  3. re-read. Events are hints that anybody could forge: the stream is read
//     again from the API server, or the tag from its registry, and only what was
//     read is ever recorded.
//  4. authorize. The trigger's account must be allowed to get the stream, of which
//     a yes is believed for ten seconds and a no never; for a registry its pull
//     credentials must open it.
//  5. exempt what cannot run, by its content, and remember it by digest.
//  6. record in the ledger; only then is the sender told 202.
//
// One trigger's or one tag's failure never keeps others from being recorded. A
// failure that a retry may cure is answered 429 or 503 with Retry-After, never
// 500, which the sources drop. Replies have no body on success and are never
// CloudEvents, which a Broker would take for new events.
//
// Events of one stream are handled one at a time in one process, so that a
// hundred deliveries of one event cost one re-read. Any number of processes may
// run; the ledger arbitrates.
//
// Log fields: push ("repository:tag@digest time"), digest, entry, trigger,
// namespace, reason. A failure that repeats is logged once.
//
// Metrics: revet_events_total{source,kind,result},
// revet_pushes_recorded_total{source}, revet_skips_total{reason},
// revet_rereads_total{source}, revet_push_to_record_seconds{source}.
package intake
