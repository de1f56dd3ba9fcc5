// Package bench measures what Revet costs, on real parts. It needs Linux.
//
//	make bench
//
// Benchmarks have the tag bench. Without it every run of all tests would link an API server
// for them, and not start it.
//
// # What runs
//
// A cluster of the fast tier (package fast: etcd and the API server in the benchmark's process) with OpenShift's image API, and
// beside it, each as a process of its own, Revet's receiver and controller under their own accounts, the adapter of
// Knative's ApiServerSource and Tekton's EventListener sink, both built from their modules. There are no kubelet and no
// Tekton controller: PipelineRuns are created with spec.status PipelineRunPending, and nothing ever completes one.
//
// # BenchmarkPushToRun
//
// The time from just before the write of an ImageStream's status, which shows a new digest, to the watch event that the
// PipelineRun was added. The direct EventListener is adapter to sink, whose template uses generateName. Revet's way is adapter to
// receiver, ledger, controller and sink, with the manifests of triggers/. The two are measured in turn, in one run, each
// with an adapter and a sink of its own that are the same programs with the same settings; the sinks' request rate is
// raised to that of triggers/ in both. Between two measurements there is a pause, so that what one way does after
// its PipelineRun exists is not in the time of the other.
//
// It reports p50 and p99 of both in milliseconds and their ratios, and, by the times in its ledger, how far Revet was after
// which time: observed (the stream was read again; the entry is about to be written), fired, confirmed (the run was seen).
// write is the API server's answer to the update alone. It prints the requests that the API server answered for each two
// pushes, one of each way, with their mean time there; making the Image and updating the stream are the benchmark's own.
//
// # BenchmarkBurst
//
// 2,000 pushes at once, of BURST_PUSHES: statuses of 40 ImageStreams, written straight to the image API by a writer each, one
// write a push; the Images are made before, and no history is cut. The two ways are measured in turn, in one run, and what
// one leaves to do is done beside the other. No run ends in either, so that Revet has as many ImageTriggers, and as high a
// bound of all, as the pushes need. BURST_SINK_QPS is how many requests a second the sinks may make, 200 unless said otherwise; Tekton's default
// is 5. It reports PipelineRuns per second, from the first push to the last of them, the pushes
// without a run (lost), the runs beyond the first of a push (doubled) and the time from push to run, of each way. It prints
// the processor seconds of the processes and the API server's requests for each push.
//
// # BenchmarkIdleMemory
//
// Resident memory of receiver and controller once they rest, in MiB: empty; with 10,000 ImageStreams of 20 tags that were
// pushed before their trigger, so that nothing is recorded; and with 10,000 entries of the ledger besides. Besides, the
// most that each held, the time from its start until it was ready, and its processor seconds until then and until it
// rested. MEMORY_STREAMS and MEMORY_ENTRIES are other numbers; without streams, only the last of the three is measured.
// MEMORY_REPOSITORIES is how many repositories the entries are of, each of its own unless said otherwise.
// Many objects are written into etcd directly, and the API server learns of them from there.
//
// # BenchmarkSweep
//
// What a sweep costs the controller over 1,000 and over 10,000 ImageStreams of 20 tags each. All pushes are since the
// trigger and are covered, as in a cluster where events arrive: each stream shows 20 pushes of one digest, which one entry of
// the ledger covers. It reports, for each size, the number of entries, the sweep's own duration, the processor seconds of the
// controller from the end of one sweep to the end of the next (so what it does meanwhile is in it), and by how much the peak
// of its resident memory during that is above what it held before. Besides, the bytes that etcd stores for an entry with one
// tag and one run, and for one with 20 tags. Last, how long the receiver takes from an event to its answer, which comes when the
// push is recorded: while no sweep goes on, and while one over the 10,000 streams begins a second after the one before.
// SWEEP_STREAMS is a list of other sizes.
//
// # BenchmarkTriggers
//
// What triggers cost, each in a namespace of its own with a stream and what its runs need: TRIGGERS is a list of how many,
// 1, 100 and 2,000 unless said otherwise. It reports the time until the controller has checked and swept all of them, the
// time of a sweep, the processor seconds for each sweep of all, with what the controller does meanwhile, how long the
// receiver takes to record a push, how many events that show nothing new it handles for each second of a processor, the
// memory of both, and what their metrics are.
package bench
