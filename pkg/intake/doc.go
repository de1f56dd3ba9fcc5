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
//     recorded. Then authorize: the trigger's account must be allowed to get the stream. The
//     answer is believed for ten seconds; see source.Rights. For a registry, the account's
//     pull credentials must open it. triggers.go finds the triggers without a look at others.
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
// Triggers of one namespace hold up nobody else's pushes. The triggers of the stream's own
// namespace are served first. Those of other namespaces are served by namespace, beside each
// other, within a budget (others.go, budget.go). What does not fit, or cannot be asked, is put
// off: counted, logged once a minute for a namespace, and tried again by a bounded queue
// (retry.go). The answer does not wait for it, and a sweep finds what is left. If the ledger
// cannot be written, the status is Again, whoever it is for.
//
// One process handles the events of a stream, and looks at a tag, one at a time, and one re-read
// serves all events that wait (flights.go). So a hundred deliveries of one event cost one re-read,
// and so do a hundred forged ones. Any number of processes may run; the ledger arbitrates between
// them.
//
// Log fields: push ("repository:tag@digest time"), digest, entry, trigger, namespace, reason.
//
// Metrics: revet_events_total{source,kind,result}, revet_skips_total{reason},
// revet_rereads_total{source}, and those of package recorder.
package intake
