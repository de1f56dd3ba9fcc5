// Package build holds what the end-to-end test of images that are built in the
// cluster needs and nothing else does: the builder, kaniko, which is compiled from
// its module instead of pulled, and a git server with one commit. It is a module of
// its own, as kaniko brings half of the clouds with it.
package build
