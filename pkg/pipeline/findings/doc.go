// Package findings holds what a scanner found in an image: the file that a
// scanner writes into the layout, and that the policy, the rules and the report
// are made from. Scanners differ in what they link and agree on this file, so
// that one can take the other's place.
//
// Contract: the file names every image that was scanned and the vulnerability
// database that was used, so that nothing passes because it was not looked at.
// It holds everything that was found, ignored or not. Reading it refuses what
// this version does not know.
package findings
