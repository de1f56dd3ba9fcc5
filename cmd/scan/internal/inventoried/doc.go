// Package inventoried converts Grype's packages to packages of the inventory and back.
//
// Contract: a matcher reads the same from a package before and after the conversion.
package inventoried
