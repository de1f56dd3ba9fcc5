// Command apidoc writes the reference of Revet's API, docs/api.md, from the Go types:
//
//	make generate
//
// It reads comments, JSON names and kubebuilder markers, so the reference and the
// CustomResourceDefinitions cannot tell different things. Its test holds that the file in
// the repository is up to date.
package main
