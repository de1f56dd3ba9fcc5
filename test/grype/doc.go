// Package grype holds Revet's scanner against Grype: both look into the same images
// with the same records, and have to find the same. It is a module of its own that
// "make test" leaves out, as Grype brings some thousand packages with it; run it by
// go test ./... after a change of either scanner.
package grype
