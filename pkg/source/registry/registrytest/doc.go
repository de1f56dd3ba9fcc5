// Package registrytest makes a registry behave as odd ones do. Tests use it, and nothing
// else.
//
// Contract: an Odd is an http.Handler in front of a real registry, in this process or
// behind a reverse proxy. Its oddities can be changed while it serves. It changes how the
// registry answers to reads, and never what is pushed. It is safe for concurrent use.
package registrytest
