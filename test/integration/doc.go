// Package integration runs Revet's programs against a real API server, a real
// registry and the emulation of OpenShift's image API, without root: the fast tier
// of test/cluster, in a process beside the test.
//
// Contract: a test or subtest that begins with ownCluster has a cluster to itself while
// it runs, and runs beside others. All others run one after another on one cluster.
// Either way a test finds what earlier ones left, and so makes a namespace of its
// own, stops the programs that it starts, and sets back what it changes in Revet's
// namespace. Programs run under the accounts and roles of config/, so that a right
// that is missing there fails here.
package integration
