// Command shim is containerd's shim for gVisor, built as
// containerd-shim-runsc-v1 and used by the local cluster only.
//
// Contract: it is gVisor's own shim but for three things:
//
//   - It does not write oom_score_adj. The stock shim sets -999 and fails to
//     start where the process lacks CAP_SYS_RESOURCE, as in many containers.
//   - It prints the shim's bare address rather than JSON bootstrap parameters.
//     containerd 1.6 knows only the bare form; later ones accept both.
//   - Before a container is created, files of its emptyDir volumes that may be
//     executed are made readable: gVisor, unlike Linux, executes only what may
//     be read, and Tekton's entrypoint may not.
package main
