// Package vulndb stores the vulnerability database that scans use in a registry. A database is an
// artefact that holds one file, and its digest is its version.
//
// The artefact is an OCI 1.1 manifest with the artifactType ArtifactType. Its config describes the
// database: the source of the records, their age, the time of mirroring, the schema, the number of
// records for each provider and ecosystem, and the file. Its layers are the parts of that file, in
// order, each compressed with zstd. If a connection breaks, only one part has to be pulled again.
//
// The file is the scanner's own: an SQLite database in Grype's schema, with indices, so that a scan
// can open it as it is. This package does not look into the file. The code that opens it compares
// it with the config.
//
// Contract: anyone may have written what Pull reads. Pull recomputes the digests of the manifest,
// the config, each part and the file, and bounds sizes, counts and unpacked bytes. If a database is
// missing, broken, tampered with, too old, empty or of another format, Pull returns a *oci.Error.
// Its reason says which, and its text says how to fix it. Pull never treats such a database as one
// without vulnerabilities.
//
// The age of a database counts from AsOf, when its records were built, never from when it was
// mirrored.
//
// Compress, Pack and Push make the artefact. One version of this program gives the same digest for
// the same file and config. Push writes the tag last.
package vulndb
