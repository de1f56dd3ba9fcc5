// Package imageapi serves image.openshift.io/v1 for the local cluster: an aggregated API server with the resources
// images, imagestreams, imagestreams/status and imagestreamtags. It is a test component; on OpenShift nothing of it runs.
//
// # Why not custom resources
//
// An Image is named by its digest, sha256:<hex>, and Kubernetes refuses a custom resource whose name has a colon. It
// also has spec and status of a stream written in one change, which custom resources cannot do. OpenShift serves this
// group by an aggregated API server too, so an API server that is down, draining or slow looks the same here.
//
// # Contract
//
// [Start] serves the API from etcd, registers it with the API server (Service "api" in namespace "openshift-apiserver",
// which needs no endpoints, and APIService "v1.image.openshift.io"), and returns when clients of the API server can use
// it. While the API server takes it for unavailable it is made to look again, each second: it would do so each half a minute,
// which is what tests that stop it would measure. Requests are authenticated by the API server's front proxy and authorised by RBAC.
//
// What the server does to an ImageStream:
//
//   - status.dockerImageRepository and publicDockerImageRepository are filled in, from the first event on.
//   - metadata.generation rises with each change of the spec and with nothing else.
//   - A tag of spec.tags that is new or whose "from" changed is resolved in the same write: ImageStreamTag (of this
//     stream, or once from another), ImageStreamImage, and DockerImage with reference: true. Its generation and policies
//     are filled in. A tag that leaves spec.tags stays in status.tags.
//   - The status subresource changes the status only, to whatever it is told.
//
// Deleting an ImageStreamTag removes the tag from spec and status in one write.
//
// [AddTagEvent] and [MoveFollowers] are how a push changes a status; they take and return values.
//
// Not served: imagestreamimages, imagestreammappings, imagestreamimports, imagesignatures, imagetags, the layers and
// secrets subresources, creation and update of imagestreamtags, imports of any kind, quotas, admission.
package imageapi
