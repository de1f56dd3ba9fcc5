// Package events sends what Revet observed and decided to others: CDEvents 0.5 in
// CloudEvents, sent to K_SINK, so that users can subscribe with Knative Triggers.
//
// Example: a run of an entry ends with a failed check. Subscribers whose filter is
// outcome: fail receive dev.cdevents.testsuiterun.finished.
//
// Derive is pure and returns the events of an entry:
//
//	dev.cdevents.artifact.published       a push that a run covers
//	dev.cdevents.testsuiterun.queued      the ledger holds the intent of a run
//	dev.cdevents.testsuiterun.started     its PipelineRun started
//	dev.cdevents.testsuiterun.finished    it ended; outcome says how
//
// Knative Triggers filter on attributes only. So each event carries imagerepository,
// imagetag, imagedigest, verifycause and, if the image claims one, imagerevision. The last one also carries outcome (pass, fail or
// error) and, if checks were switched off, notchecked ("scan,signature"). source is the
// entry's path, and id is the entry's UID and the event's key. Both come from the ledger,
// so a receiver can recognise an event that is sent twice. What a cause is called in
// trigger.type is a column of the table of causes in package lifecycle.
//
// Emit sends, oldest first, the events that status.emitted does not list, and returns the
// keys to add to it. The ledger is written after sending, so each event is sent at least
// once. Without a sink, Emit sends nothing. The caller backs off after a failure.
//
// SendTurn sends what no entry of the ledger holds: that the verdict of something that runs
// behind a gate turned, as dev.cdevents.incident.detected and incident.resolved. Its id comes
// from the gate, the digest and the verdict that decided.
//
// CloudEvents are sent in structured mode, because the subject of artifact.published is a
// package URL, and receivers decode its percent signs differently in a header.
//
// Only the tests depend on the CDEvents SDK, and check every event against its schemas. At
// start, it compiles all schemas of all versions, which would cost every process 0.15 s
// and 7.5 MB of heap (37 MB allocated).
package events
