// Package mirror fills vulnerability databases from a source that the user names.
//
// A source is
//
//	/path, ./path           a directory of ECOSYSTEM/all.zip, as OSV's export and
//	                        osv-scalibr have it, or of records ECOSYSTEM/*.json or
//	                        *.json; a file "as-of" in it holds the RFC 3339 time at
//	                        which it was current, if its records do not tell
//	https://host/path       a base under which ECOSYSTEM/all.zip lies
//	host/path:tag, @sha256: another mirror, of which everything is verified and then
//	                        copied as it is, so that the digest stays
//
// Contract: Run writes the database under a tag only after all of it is there and
// verified, so that whoever pulls that tag gets the old database or the new one.
// It leaves the tag alone if the records, their source and their dates are what the
// tag holds already. It refuses to put an empty database there, ever; one that
// lacks an ecosystem, a quarter of the records of one, or is older, unless that is
// allowed; and anything at all over what is no database of a format that it knows.
// Everything that it reads is bounded. A file that did not change since the last
// time, by its ETag or date, is not downloaded again; its records are taken from
// the database under the tag, if they are still what they were.
package mirror
