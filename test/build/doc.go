// Package build holds what the end-to-end tests of images that are built in the cluster
// need and nothing else does: the builder, kaniko, which is compiled from its module
// instead of pulled, and a git server. It is a module of its own, as kaniko brings half
// of the clouds with it.
package build
