// Package imagegate keeps what belongs to ImageGates: the admission policies that the API server
// judges Pods by, and the VerifiedImages that those look up.
//
// Example: an entry of a trusted trigger passes. The reconciler notes the digest for every
// gate that trusts the trigger, and writes all that came within a second at once. From
// then on the API server admits Pods with that digest, also while no process of Revet runs.
//
// What the cluster holds is the only state: a process that is killed between any two writes
// is followed by one that reads what there is and goes on. Therefore
//
//   - what policies look up is written before the policies, and removed after them;
//   - the policies of one division, by digest, are removed only once those of another were
//     seen to refuse in a dry-run. Until then a Pod has to pass both, and both are kept;
//   - only the process that holds the gate's lease writes, and every update and deletion
//     names the version that it was decided on.
//
// Nor does anything of a gate outlast what it needs. The garbage collector removes policies
// with their gate, bindings with the kind VerifiedImages, and that kind with Revet's namespace,
// which the controller makes its owner; the other half of each pair does nothing. The controller removes the bindings of gates that are gone, and all bindings as
// soon as there is no place for what their policies look up.
//
// Writes share a budget of bytes. A digest that a trusted trigger failed goes first, then
// what expired, then other removals, and additions last: their lag stands in the status.
//
// An Observer, which writes nothing, tells the reconciler what runs: it lists all Pods every
// minute, and at once after a digest that runs lost its verdict; it watches Pods that carry
// the break-glass label; and it lists the workloads that carried it before the gate guarded
// it. Whatever it could not read is not known, and never counts as verified or trusted.
package imagegate
