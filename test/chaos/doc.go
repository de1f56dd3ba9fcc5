// Package chaos pushes images while everything between the registry and the verdict is killed, paused, restarted and cut
// off, and then takes an account: was every push covered, and none twice? Revet and the direct EventListener, an ApiServerSource
// straight into an EventListener, get the same pushes and the same faults at the same time. It needs Linux and no root.
//
//	make chaos                                       # 1,000 pushes, seed 1
//	make chaos PUSHES=1000 SEEDS="1 2 3 4 5"
//	make chaos FAULTS="adapter sink kill stall"      # only these targets and actions; or none
//	make chaos FAULTS=registry-odd                   # a registry that breaks the specification, and no other fault
//	make chaos FAULTS="all registry-odd"             # both
//	make chaos FAULTS="all tenant"                   # a hostile namespace, beside all faults
//	make chaos PLAY=adapter-down PUSHES=50           # also: burst, leader-stopped, trouble; see [Play]
//
//	make chaos PLAY=trouble PUSHES=100               # something on the way to a run is broken for a while, and mended
//
//	make chaos PLAY=gate PUSHES=1000 RATE=2          # verdicts turn behind a gate
//
// The exit status is 1 if Revet lost or doubled a push, or left anything without an end for longer than 120 s after the
// last fault. What the direct EventListener did is printed and never a failure. A fixed seed with few pushes is a Go test.
//
// # What runs
//
// Each as a process of its own that faults are done to: etcd, API server and OpenShift's image API (packages fast and
// openshift, in one process, on data that outlives it, so that a restart loses every watch cache and old watches get a
// 410); the registry (package registry); three receivers and two controllers of Revet, under the accounts and roles of
// config/, with the lease of 15 s that they are shipped with; and for each way an ApiServerSource adapter and an
// EventListener sink, as their modules build them. Revet sweeps every 15 s. A push is acknowledged once the ImageStream
// shows it, as on OpenShift; a client whose push fails pushes again until it is.
//
// Both ways run at once in one cluster. They share API server and registry; a fault of "adapter" or "sink" is done to both
// adapters or both sinks at the same moment. Revet watches ImageStreams; the direct EventListener watches Images, as it is published,
// and its TriggerTemplate uses generateName. Both sinks have the request rate of triggers/.
//
// # What is a stand-in
//
//   - The stand-in for Tekton and the pipeline starts the PipelineRuns of Revet's way, makes a Pod object with the
//     RuntimeClass that the run asks for, and lets each succeed with verdict pass after 50 ms to 1.5 s, drawn from the seed.
//     Nothing is executed. A run whose Pod is refused for want of its RuntimeClass fails, as with Tekton: the answer is
//     the API server's own 403, the TaskRun fails as PodCreationFailed and is not tried again, and so the PipelineRun
//     fails. Revet takes that for infrastructure and repeats it. The stand-in is not disturbed, except by the API server
//     being away. The direct EventListener's runs are left as they are created, as nobody there looks at them again, so that the load
//     of completing runs is on Revet's way only.
//   - The stand-in for Services: TCP links, one before each server, one from each program to the API server, and one that
//     spreads connections over the receivers. They are what a fault cuts off.
//   - The stand-in for Tekton's controller of EventListeners writes the address into the object's status, and in the play
//     trouble ends the sink when the object is deleted and starts it when there is one again.
//   - The stand-in for kubelet starts what ended by itself, a second later, whatever its probes would say.
//   - OpenShift's image API is the emulation of package openshift.
//
// The only interceptor is Revet's, which the receivers answer for, behind a link of its own that no fault cuts off. There is no
// Broker. Namespaces have no ServiceAccount admission.
//
// # The script
//
// Pushes and faults follow from the seed alone: which, to what, and when at the earliest. Pushes to one stream wait for
// each other, and a fault for an earlier one of its target, so that times may shift on a slow machine. Of the pushes some
// 70 % are of a new digest; the others repeat the head, roll a tag back, or bring a digest to another tag or another
// stream; a third comes in bursts of 10 to 50. Faults come one each second until all is pushed. The API server is left
// alone for some time after each of its own, as nothing can make progress before it is up.
//
// # The fault registry-odd
//
// A second ImageTrigger verifies the same pushes from the registry itself: by Distribution's
// notifications, and by sweeps of the catalogue. Revet alone sees that registry behind a front that is
// odd in another way each second, chosen by the seed: HEAD answers 405 or 404, manifests come without
// a digest or with a wrong Content-Type, pages are short and link by absolute addresses, and every
// second or third answer breaks off until all is pushed. A registry shows no history, so that the heads of all tags are
// due, and nothing below them. Entries and runs of the second trigger count like the others.
//
// # The fault tenant
//
// For the whole run a namespace of its own, which the account leaves out, does what once cost others
// their pushes, as a process with a listener of its own: 300 triggers select all namespaces with
// accounts that do not exist; a trigger with maxConcurrent 1000 gets a new digest each second,
// whose run never ends; one digest gets 50 tags of 128 characters more each second; all receivers
// are told of that, and of pushes to the others' streams that there were not; eight requests announce
// 8 MiB and send a byte, and a hundred connections say nothing, made anew when they end. Its
// connections come from another address than the adapter's, as from another Pod. The adapter is one
// for all namespaces, so that the others' events wait for the tenant's: sweeps recover what it gives
// up. What the tenant had in the end is printed.
//
// # The play trouble
//
// In turn it deletes the EventListener, deletes the RoleBinding of the listener's account, has the TriggerTemplate name the
// PipelineRun otherwise than after the run, has the TriggerBinding read a field that no request has, and deletes the
// RuntimeClass; -cases selects some. Each stays so for two minutes (the EventListener) or 30 s, or as long as -for says, and
// gets PUSHES pushes of new digests at even times, the first before it breaks and the last after it is mended. Other faults
// are not done. The exit status is 1 as well if, in any case,
//
//   - the trigger's condition Ready did not become False for the expected reason, or did for another;
//   - an entry still waited when it was mended, 5 s old or more, and did not say the reason then, with a message. An entry
//     whose run failed and whose retry is not due yet says RetryScheduled, and is not counted;
//   - a push of the case was lost or doubled, or had no end 120 s after the mending;
//   - a receiver, a controller or the adapter was not the process that it was at first.
//
// A run that was begun before a break was noticed counts as any other. One that met a missing RuntimeClass has failed and
// was repeated: the column repeats. One that met the broken template bears another name, and its entry would end as
// Misnamed: Revet does not start a second. That is no loss to the account; it is printed below the case.
//
// # The play gate
//
// It has no registry, receivers and listeners, and no direct EventListener: an API server with its etcd, two controllers, and
// a gate in mode Deny that trusts two triggers. PUSHES verdicts, RATE a second, are written into entries as runs begin and
// end, by the functions by which controllers do that and under their account; errors come on top, which must change nothing.
// Which, of what, and when follows from the seed:
//
//   - most pass and fail in turn, in one entry, or in two repositories of the two triggers at once, where one failure denies;
//   - some never pass, pass without what the gate asks for, are as old as to expire within minutes, are those of an index
//     with two children, or stand in entries of a trigger that the gate does not trust;
//   - a quarter of the runs is for a push, which moves its tag; each tag is shared by some digests.
//
// Meanwhile kill -9 hits a controller or the API server, with its etcd, every 4 to 20 seconds, and what was killed is started
// again up to three seconds later. FAULTS may name other actions. The gate goes from one object to sixteen on the way. All the time Pods
// are tried in dry-run, by digest and by tag, those of digests that have just failed first. An admission is a fault
//
//   - if the digest never passed in a trusted entry, whatever was just started again;
//   - if its verdict had expired, and it does not run;
//   - if it had failed in a trusted entry, for more than 30 s in which a controller led. One leads while it holds the lease
//     and has renewed it since it was started; a verdict counts as written once the API server has confirmed it.
//
// In the end the map (digests, what ran, and tags) is compared with the ledger, as the pure rules conclude and as it is said
// a second time without them; once they are equal, and after 20 s more, everything is tried once more. What differs, is
// refused and should start, or starts and should not, is a fault, and so is a verdict that is not the one that was written.
//
// # The account
//
// It is taken from API server and registry once the faults have stopped, polled until all is settled, and taken once more
// 20 s later, for doubles that come late. Due is what the ImageStreams show: the heads and the histories of all tags.
//
//   - shown: items of all tags; digests: different digests among them, in each repository for Revet, in all for the plain
//     way, which sees Images only.
//   - covered: there is an entry of the repository and digest in a final phase, and a finished PipelineRun for the digest.
//     For the direct EventListener: there is a PipelineRun.
//   - lost: not covered. doubled: more PipelineRuns than causes: one, and one for each run that the ledger says vanished or
//     failed for want of infrastructure, which are the column repeats and should be 0, as here none does.
//   - by sweeps: pushes that the ledger says a sweep recorded. settled after: seconds after the last fault.
//
// A push that was acknowledged and is not shown, or a tag about which registry and ImageStream disagree, is a fault of the
// harness; it is reported as such and makes the exit status 1.
//
// # A seed that fails
//
// The folder that is printed has timeline.txt, with every fault's beginning and end, every push, every PipelineRun when it
// was first seen and when it had ended, and every change of an entry's state; and a log for each program. Search it for
// the digest. The same seed makes the same pushes and faults again; with -keep (go run ./cmd/chaos -h, in test/) the data of etcd
// and registry stays.
package chaos
