// Package app wires the programs together: it is the only package that makes
// concrete things, and the only one besides cmd that knows of addresses, logs
// and the process it runs in.
//
// Contract: each program has Options with defaults, checked by validate, whose
// error names the field; New, which starts nothing; Start, which returns once
// the program listens; Addr; and Stop, which drains. Several programs can run
// in one process, which is how they are tested.
//
// The controller acts under leases (ConfigMap config-leader-election). A lease is
// believed until its duration after the request that wrote it began, less a
// second, by the wall clock and the monotonic one; what needs a sink must end
// before that, and statuses are written within it. It is given back when nothing
// goes on under it any more, and never if another holds it.
//
// HTTP of all programs: on a port of their own, /healthz is the process, and /readyz is
// the ledger, read from the API server at most once a second. What is wrong with the
// operator's configuration is logged and counted, and makes nothing unready. Metrics are
// served in Prometheus' format on a port of their own, under /metrics.
package app
