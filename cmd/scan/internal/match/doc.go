// Package match uses Grype to find the vulnerabilities of the packages in an inventory.
//
// Contract: the same inventory and the same database always give the same findings. Each
// vulnerability of a package is one finding, however many names it has. Its level is the one that
// the package's distributor gives, or else the worst that any source gives. A package without
// anything to compare it with is not compared, and is reported as a gap. A database that cannot be
// read is an error, never "nothing found".
package match
