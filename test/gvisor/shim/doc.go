// Command shim is containerd's shim for gVisor, built as
// containerd-shim-runsc-v1 and used by the local cluster only.
//
// Contract: it is gVisor's own shim in everything but the start of a shim
// process, which differs in two ways from the stock one:
//
//   - It does not write oom_score_adj. The stock shim sets -999 and fails to
//     start where the process lacks CAP_SYS_RESOURCE, as in many containers.
//   - It prints the shim's bare address rather than JSON bootstrap parameters.
//     containerd 1.6 knows only the bare form; later ones accept both.
package main
