// Package database is the vulnerability database as the scanner uses it: an SQLite
// file of Grype's schema 6, indexed, that package vulndb pulls from a registry.
//
// Open pulls one and opens it. Build makes one of records in OSV's format, Import
// indexes one that Grype's builders made, and Check loads either as a scan does. What
// panics in the library on the way is an error like any other.
//
// Contract: a database that a scan could not use is never a database without
// vulnerabilities: it is a *oci.Error with one of vulndb's reasons.
package database
