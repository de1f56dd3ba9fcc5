// Package kube holds what every adapter of the API server shares: the scheme of
// the types that Revet reads and writes, and how lists are read in pages.
package kube
