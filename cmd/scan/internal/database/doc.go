// Package database holds the vulnerability database in the scanner's form: an indexed SQLite file
// in Grype's schema 6, which package vulndb pulls from a registry.
//
// Open pulls a database and opens it. Build makes one from records in OSV's format. Import indexes
// one that Grype's tools built. Check loads either kind as a scan does. If the library panics,
// these functions return an error.
//
// Contract: a database that a scan cannot use is an *oci.Error with one of vulndb's reasons. It
// never counts as a database without vulnerabilities.
package database
