// Package ledger stores ImageVerifications: one entry for each trigger, repository
// incarnation and digest.
//
// Contract:
//   - Entries are written by create, or by update with the resourceVersion that was read;
//     never by patch or apply, with which two writers would remove each other's tags.
//   - Creating an entry records its first push and is the intent of its first run. Record
//     writes no status after it: that would cost a request on the way from push to run, and
//     collide with the controller's first write. While the status is empty the first push
//     counts as a tag; UpdateStatus writes it with whatever its caller changes.
//   - AlreadyExists is success only if the entry is of the same trigger, repository and
//     digest. Otherwise it is ErrForeign, which is permanent. ErrConflict and errors of the
//     API server are transient.
//   - An entry names so many tags of its digest, and tells of so many more without naming them
//     (Bounds). It covers the pushes of both, and no others. Each write moves what has no room:
//     first tags that have a run and show another digest, then the oldest; never the first
//     push's, nor a push that waits for a run while another one can go. Of what has no room at
//     all nobody knows: Record returns ErrForgotten, and Forgot is true.
//   - Index answers what is covered without a request, in a time that does not depend on how
//     many digests a repository has. A watch of ImageVerifications feeds it (Store for a
//     reflector, Handler for a shared informer), and so do this process's own writes, at
//     once. It forgets an own write that the watch does not confirm within a minute, so that
//     a lost watch event cannot cover a push for good.
//   - Head answers what a tag was last pushed to, and Freshest which is later: what a cache
//     has of an entry, or what this process wrote.
//   - WithinScope is the one place that reads a trigger's status.historyHorizon.
//
// A crash after create and before anything else loses nothing: spec.firstPush covers the push.
package ledger
