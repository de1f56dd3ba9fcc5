// Package upstream installs the real Knative Eventing and the real Tekton, as Pods, into the local cluster.
//
// # Contract
//
// What is installed comes from the Go modules that the test module's go.mod names: their own config/ YAML, and images
// that ko builds from their commands. Nothing of theirs is copied into this repository.
//
// [Install] applies a [Profile] to a cluster and returns when it can be used: every Deployment is Available, and every
// admission webhook has changed an object that was sent to it. It may be repeated on the same cluster. [Prepare] does the
// part that needs no cluster, so that it can run while a cluster starts.
//
// # Cache
//
// Images are built once. Below [Options.CacheDir]:
//
//	images/<component>-<key>/    an OCI image layout, the YAML the images belong to, and bundle.json, their table
//	bin/ko-<version>/ko          see [EnsureKo]
//
// The key covers the versions and checksums of the component's module and of the modules that shape its behaviour, ko's
// version, the architecture and this package's way of building. It does not cover every module that the binaries
// contain: a newer version of one of those alone does not cause new images. Where the cache is complete, Install starts
// no Go tool. A folder is complete or absent, since it is renamed into place; processes that build the same one wait for
// each other. Folders of other versions may be deleted at any time.
//
// # What differs from an installation by the book
//
//   - One replica of everything, hardly any requests and no limits, no affinities, quick readiness probes, patient liveness
//     probes: two cores start all of this at once. HorizontalPodAutoscalers are left out.
//   - Clients may send 200 requests a second (client-go's default is 5).
//   - Knative may read EventListeners, so that they can be sinks of sources and Triggers.
//   - Tekton: Pods get security contexts that meet Pod Security "restricted"; no affinity assistant; Steps start without
//     waiting for sidecars that an outside webhook could inject; TaskRuns and PipelineRuns send no CloudEvents; the init
//     containers of a TaskRun's Pod are not limited to a hundredth of a CPU.
//   - Not installed: Tekton's resolvers and events controller; Knative's PingSource adapter, JobSink, RequestReply,
//     and the images behind IntegrationSource, IntegrationSink and EventTransform. The CRDs of all of them are there,
//     as the controllers that are installed watch them.
//   - Tekton's shell image, which places `script:` of Steps, is an empty one: Steps must have a `command`.
package upstream
