// Package eventing holds the manifests of the sources of events.
package eventing

import _ "embed" // the manifest

//go:embed 100-apiserversource.yaml
var source []byte

// Source returns 100-apiserversource.yaml, which sends changes of ImageStreams to Revet.
func Source() []byte { return source }
