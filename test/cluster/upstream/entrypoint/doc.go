// Command entrypoint stands before Tekton's command of that name, so that Steps start under gVisor.
//
// # Contract
//
// Tekton's init container calls "entrypoint init SOURCE TARGET STEP...", to copy itself into a volume from which every Step
// starts. The copy has mode 0311: all may execute it, nobody may read it. Linux starts such a file; gVisor has to read what
// it executes (gvisor.dev/issue/160), and a Step that is not root ends with "failed to load /tekton/bin/entrypoint:
// permission denied". This command lets Tekton's, which lies beside it as tekton-entrypoint, copy itself, and makes the
// copy readable. All other calls it hands on unchanged.
//
// It runs in init containers only: what the Steps start is Tekton's own program.
package main
