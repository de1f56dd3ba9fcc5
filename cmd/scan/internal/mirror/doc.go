// Package mirror fills vulnerability databases from a source that the user names.
//
// A source is
//
//	https://host/path       a base under which latest.json names an archive, as Anchore
//	                        publishes the database of Grype
//	/path, ./path           a directory of the same two files, of a file
//	                        vulnerability.db, or of records in OSV's format:
//	                        ECOSYSTEM/all.zip, ECOSYSTEM/*.json or *.json; a file
//	                        "as-of" beside records holds the RFC 3339 time at which they
//	                        were current, if they do not tell
//	host/path:tag, @sha256: another mirror, of which everything is verified and then
//	                        copied as it is, so that the digest stays
//
// To a database of the first two kinds, records of malicious packages can be added,
// which Anchore's does not have: from a directory of records, or from a base under which
// ECOSYSTEM/all.zip lies, as OSV publishes it.
//
// Contract: Run writes the database under a tag only after all of it is there, was
// indexed, and was loaded by the library that scans use, so that whoever pulls that tag
// gets the old database or a new one that works. It leaves the tag alone if the records,
// their source and their dates are what the tag holds already. It refuses to put an
// empty database there, or one that the library cannot load, ever; one that lacks a
// provider or an ecosystem, a quarter of the records of one, or is older, unless that is
// allowed; and anything at all over what is no database. Everything that it reads is
// bounded. What did not change since the last time, by its checksum, ETag or date, is not
// downloaded again.
package mirror
