// Package ledger stores ImageVerifications: one entry for each trigger,
// repository incarnation and digest.
//
// Contract:
//   - An entry is written only by create, or by update with the resourceVersion
//     that was read; never by patch or apply, as two writers would remove each
//     other's tags.
//   - Creation is the record of the first push and the intent of run 1. Record
//     writes no status after it: that would cost a request on the way from push
//     to run and collide with the controller's first write. Tags returns the
//     first push as a tag while the status is still empty, and UpdateStatus
//     writes it with whatever its caller changes.
//   - AlreadyExists is success only if the entry that exists is of the same
//     trigger, repository and digest; otherwise it is ErrForeign, which is
//     permanent. ErrConflict and errors of the API server are transient.
//   - Index answers what is covered without a request. It is fed by a watch of
//     ImageVerifications (Store for a reflector of its own, Handler for an
//     informer that others use too) and, at once, by this process's own writes;
//     an own write that the watch does not confirm is forgotten again, so that a
//     lost watch event can never cover a push for good. Head answers from it
//     what a tag was last pushed to.
//
// A crash after create and before anything else loses nothing: the same push is
// covered by spec.firstPush.
package ledger
