// Package mirror fills vulnerability databases from a source that the user names.
//
// A source is
//
//	https://host/path       a base URL with a latest.json that names an archive, as
//	                        Anchore publishes Grype's database
//	/path, ./path           a directory with the same two files, with a file
//	                        vulnerability.db, or with records in OSV's format:
//	                        ECOSYSTEM/all.zip, ECOSYSTEM/*.json or *.json; if the records
//	                        do not give their age, a file "as-of" beside them holds the
//	                        RFC 3339 time at which they were current
//	host/path:tag, @sha256: another mirror; all of it is verified and then copied
//	                        unchanged, with the same digest
//
// Records of malicious packages, which Anchore's database does not have, can be added to a database
// of the first two kinds. They come from a directory of records, or from a base URL with
// ECOSYSTEM/all.zip below it, as OSV publishes them.
//
// Contract: Run writes the database under a tag only after it is complete, indexed, and loaded by
// the library that scans use. So anyone who pulls that tag gets the old database or a new one that
// works. If the tag already holds the same records, sources and dates, Run leaves it alone. Run
// never writes an empty database, or one that the library cannot load. It never overwrites anything
// that is not a database. Unless allowed, it refuses a database that lacks a provider or an
// ecosystem, has lost a quarter of the records of one, or is older. All reads are bounded. Run does
// not download again what has not changed since the last time, by checksum, ETag or date.
package mirror
