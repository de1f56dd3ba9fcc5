// Package test is the root of the module that holds what is needed to test
// Revet on real parts: the local cluster, the end-to-end tests and the
// benchmarks. The product never imports it.
package test
