// Package match looks for the vulnerabilities of an image's packages, as the inventory
// has them, with Grype.
//
// Contract: the same inventory and the same database give the same findings, whenever.
// One vulnerability of a package is one finding, whatever names it has, at the level
// that the package's distributor gives it, else at the worst that anybody knows. What
// there is nothing to compare with is not compared, and told as a gap. A database that
// cannot be read is an error, never "nothing found".
package match
