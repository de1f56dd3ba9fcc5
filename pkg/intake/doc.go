// Package intake handles what says that somebody may have pushed an image: it finds out what
// was pushed, and records it. Package receiver serves it over HTTP.
//
// Contract, in the order of one event:
//
//  1. intake.go: other types, deletes, Image events, and what Revet, Tekton or a loop through
//     a Broker sent are passed over. An event of a known type that cannot be decoded is
//     refused for good.
//  2. stream.go for events, tag.go for notifications: compare what is claimed with the
//     ledger, from caches only. An event without news costs no request. Then read again:
//     anybody can forge an event, so only what the API server or the registry shows is ever
//     recorded. Then authorize: the trigger's account must be allowed to get the stream. A
//     yes is believed for ten seconds, a no never. For a registry, the account's pull
//     credentials must open it.
//  3. record.go: record through package recorder, which exempts what cannot run.
//  4. report.go: log and count what was passed over, once.
//
// A registry may notify before it shows the tag, and notifications may come in any order. If a
// tag does not show what a notification claims, notification.go looks again within a second,
// and then asks the registry to send the notification again, three times at most. patience.go
// bounds what waiting may cost others: who makes the receiver wait in vain waits less.
//
// One trigger's or one tag's failure never keeps others from being recorded. A failure that a
// retry may cure is a Result with the status Again.
//
// One process handles the events of a stream, and looks at a tag, one at a time, so a hundred
// deliveries of one event cost one re-read. Any number of processes may run; the ledger
// arbitrates between them.
//
// Log fields: push ("repository:tag@digest time"), digest, entry, trigger, namespace, reason.
//
// Metrics: revet_events_total{source,kind,result}, revet_skips_total{reason},
// revet_rereads_total{source}, and those of package recorder.
package intake
