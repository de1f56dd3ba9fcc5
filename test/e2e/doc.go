// Package e2e tests Revet on the node tier of the local cluster: every part
// runs as a Pod, from the manifests that users apply, and images are pushed by
// a real client. RuntimeClass kata is served by gVisor here.
//
//	make e2e        # Linux, root
//
// The tests carry the build tag e2e. They bring a cluster of their own up, or
// use the one that runs for the checkout, and take down what they brought up.
package e2e
