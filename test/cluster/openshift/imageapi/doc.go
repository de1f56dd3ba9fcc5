// Package imageapi serves image.openshift.io/v1 for the local cluster: an aggregated API server with
// the resources images, imagestreams, imagestreams/status, imagestreamtags and imagestreammappings.
// It is a test component; on OpenShift nothing of it runs.
//
// # Why not custom resources
//
// An Image is named by its digest, sha256:<hex>, and Kubernetes refuses a custom resource whose name
// has a colon. It also has spec and status of a stream written in one change, which custom resources
// cannot do. OpenShift serves this group by an aggregated API server too, so an API server that is
// down, draining or slow looks the same here.
//
// # Contract
//
// [Start] serves the API from etcd, registers it with the API server (Service "api" in namespace
// "openshift-apiserver", which needs no endpoints, and APIService "v1.image.openshift.io"), and
// returns when clients of the API server can use it. While the API server takes it for unavailable,
// the server makes it look again each second; by itself it would look each half a minute. The API
// server's front proxy authenticates requests and RBAC authorises them.
//
// What the server does to an ImageStream:
//
//   - It fills in status.dockerImageRepository and publicDockerImageRepository from the first event on.
//   - It raises metadata.generation with each change of the spec and with nothing else.
//   - It resolves a tag of spec.tags that is new or whose "from" changed in the same write:
//     ImageStreamTag (of this stream, or once from another), ImageStreamImage (looked up in the
//     history of the stream that it names, by a digest or the beginning of one), and DockerImage with
//     reference: true. It fills in the tag's generation and policies. A tag that leaves spec.tags
//     stays in status.tags.
//   - It refuses a source stream or image that does not exist, a source in another namespace unless
//     the client may get imagestreams/layers there, and names that are no path component of a registry.
//   - The status subresource changes the status only, to whatever the client says.
//
// Deleting an ImageStreamTag removes the tag from spec and status in one write; creating or updating
// one writes the tag of the spec. An ImageStreamMapping makes the Image as the client describes it,
// unless one of that name exists, and the tag's new head. An Image whose dockerImageManifests name no
// platform is invalid.
//
// Watches serve sendInitialEvents, so that client-go's informers need no list. A watch from a version
// that is gone is answered 200 and an ERROR event. While the server is down, the API server answers
// 503 in plain text.
//
// [AddTagEvent] and [MoveFollowers] are how a push changes a status; they take and return values.
//
// # Not served
//
// imagestreamimages, imagestreamimports, imagesignatures, imagetags, the layers and secrets
// subresources (an access review of imagestreams/layers is RBAC's alone), lists of imagestreamtags,
// imports of any kind, quotas, admission.
package imageapi
