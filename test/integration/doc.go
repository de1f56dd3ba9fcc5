// Package integration runs Revet's programs against a real API server, a real
// registry and the emulation of OpenShift's image API, in one process and
// without root: the fast tier of test/cluster.
//
// Contract: one cluster is shared by all tests; each makes a namespace of its
// own. Programs run under the accounts and roles of config/, so that a right
// that is missing there fails here.
package integration
