// Package registry runs a CNCF Distribution v3 registry inside the calling process: the image registry of the local
// cluster, in both of its tiers.
//
// # Contract
//
// Content lives below [Options.Dir] and outlives the process: a registry started again on the same directory serves the
// same images. Deletes are allowed. An index may name manifests that are not there, as OpenShift's registry allows.
// There is no authentication and no TLS: it is for one machine.
//
// [Start] returns once the registry answers; [Registry.Stop] ends it. Several registries can run in one process.
//
// There are two ways to learn of pushes:
//
//   - [Options.Endpoints]: Distribution's own notifications, JSON posted to a URL. They are queued in memory, in order,
//     and sent again until the endpoint accepts them; what is queued when the process ends is lost. An endpoint's sender
//     has no way to be stopped, so one whose endpoint never answers goes on trying after Stop until the process ends.
//   - [Options.OnPush]: a function called after a manifest was stored and before its client hears of it, one call at a
//     time for each repository, in the order of the pushes. A client that was told of success can rely on the call having
//     succeeded, which is how OpenShift's registry writes its objects. An error makes the push fail: [Refused] with 403,
//     any other with 503. The manifest stays stored in both cases.
//
// # Logging
//
// Distribution logs through the process-wide logrus logger and offers no other. The first Start of a process silences
// that logger; a Start with [Options.Log] set sends its warnings and errors there, for every registry of the process.
package registry
