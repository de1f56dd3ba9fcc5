// Package interop holds cosign, which a test compiles from its module to verify what the attestor
// signs as a stranger would. It is a module of its own, as cosign brings libraries of its own.
package interop
