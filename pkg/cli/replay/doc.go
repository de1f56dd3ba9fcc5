// Package replay is the command "replay", which asks for another run of an image.
//
// Contract: it adds an ID to spec.requests of ImageVerifications, against the
// resourceVersion that it read, and writes nothing else. lifecycle.Next decides what it
// says will happen.
package replay
