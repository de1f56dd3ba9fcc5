// Package helm holds Helm, which the end-to-end test of deliveries compiles from its module
// instead of pulling it. It is a module of its own, as Helm comes with another version of
// Kubernetes' libraries.
package helm
