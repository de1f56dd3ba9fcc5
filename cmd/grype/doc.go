// Command grype is the step "scan" of the pipeline with Grype in it, for who wants
// its findings instead of those of cmd/scan: it takes the same flags, and writes the
// same files. Both keep to pkg/pipeline/{findings,triage,report}.
//
// It is a module of its own, which neither "make test" nor "make e2e" compiles, as
// Grype brings some thousand packages with it. Its test holds both scanners against
// each other, on the same images and the same records:
//
//	cd cmd/grype && go test ./...
package main
