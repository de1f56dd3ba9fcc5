// Package openshift emulates OpenShift's image API and registry integration for the local cluster: it serves
// image.openshift.io/v1 (package imageapi) and bridges pushes to a registry into the changes of Image and ImageStream
// objects that the real thing makes. It is a test component; on OpenShift nothing of it runs.
//
// # Contract
//
//	api, err := openshift.Start(ctx, openshift.Options{Kubeconfig: k, Etcd: e, Public: "localhost:5001"})
//	reg, err := registry.Start(ctx, registry.Options{
//		Dir: dir, Addr: "127.0.0.1:5001", OnPush: api.Pushed, Front: api.Front,
//	})
//	err = api.Bridge(ctx, reg.URL())
//	...
//	reg.Stop()
//	api.Stop()
//
// [Start] serves and registers the API; that alone is of use too. [Emulation.Bridge] compares every tag that the registry
// has with the streams, makes up for pushes that happened while no bridge ran, and returns. From then on the bridge
// learns of pushes in one of two ways:
//
//   - [Emulation.Pushed] as the OnPush of a registry in the same process. The push is not acknowledged before the objects
//     are written, as on OpenShift, so none is lost: a push that fails is the client's to repeat.
//   - [Emulation.ServeHTTP] as an endpoint of Distribution's notifications. It answers 200 once the objects are written
//     and 503 otherwise, so that the registry sends the notification again. What the registry had queued when it died is
//     found by the next start, except for what a later push of the same tag had already replaced.
//
// Changes of one stream are made one after another, in the order of the pushes, and are repeated until the API server has
// taken them. A push whose namespace is missing writes nothing and is accepted, logged, and completed when the namespace
// appears (OpenShift refuses it). Repositories that are not namespace/stream are ignored; one whose parts are no valid
// names of a namespace and a stream is refused.
//
// What a push does to the objects, held to recordings of the real thing by a test:
//
//   - A stream that is missing is created, without tags. Then the Image is created, if there is none of that digest.
//     Then the tag's new head is written to the stream's status. A push by digest stops after the Image.
//   - A push of what the tag has already writes nothing, unless the stream's spec changed since: then the head's
//     generation is brought up to date. A push of an older digest is a new head; history is never shortened.
//   - Tags of spec.tags that follow the pushed tag in the same stream get the same head in the same write.
//
// A head that leaves its tag otherwise than by a push (the tag or stream deleted, a followed tag moved, the status edited)
// is untagged in the registry a moment later: the real registry answers from the streams, and a client that still found
// the image under that tag would not push it again. [Emulation.DeleteTag] untags first, so that a push right after it is
// a push.
//
// [Emulation.Front] stands before the registry and refuses what OpenShift's does not serve: a manifest
// by digest that no tag shows (404), and HEAD by digest in a stream that does not exist (500). A push
// of an index with a child that names no platform is answered 500.
//
// # Where it differs, and what it does not do
//
//   - The API lacks what package imageapi lists: imports and scheduled imports above all, and quotas,
//     admission, signatures, layers.
//   - The registry knows a tag only by a push: a tag that follows another, or is pinned, cannot be pulled by its name.
//   - Tags that follow a tag that follows another are not moved by one push; that case was not recorded.
//   - No pruning, no triggers of workloads, no pull secrets, no authentication of pushes, no pull-through. Images have no
//     dockerImageConfig and no dockerImageManifest, as watchers of the real API do not see them either.
//   - At its start the bridge takes the registry's word: a head that was moved back through the status subresource, or a
//     tag that was deleted while no bridge ran, comes back.
//
// # Log
//
// Fields: stream (namespace/name), tag, digest, error. A failure that repeats is logged once.
package openshift
