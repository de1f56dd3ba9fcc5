// Package pushes is the command "pushes", which prints the pushes that recorded objects
// and events show.
//
// Contract: it finds pushes with the functions that the receiver uses, and reads nothing
// from a cluster.
package pushes
