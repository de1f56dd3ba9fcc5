// Package inventoried writes packages of Grype's down in the inventory, and reads them
// from it.
//
// Contract: what a matcher reads of a package is the same before and after.
package inventoried
