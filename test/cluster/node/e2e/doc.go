// Package e2e tests the node tier of the local cluster for real: it starts
// clusters, runs Pods in them and kills their processes. The tests need Linux,
// root and the build tag e2e:
//
//	go test -tags e2e -v ./cluster/node/e2e
//
// They use a cluster of their own, so that one that a person has started from
// the same checkout is left alone.
package e2e
