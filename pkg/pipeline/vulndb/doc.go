// Package vulndb is the vulnerability database that scans compare with, as it lies
// in a registry: an artefact, versioned by its digest, that holds one file.
//
// The artefact is an OCI 1.1 manifest of the type ArtifactType. Its config says where
// the records are from, how old they are, when they were mirrored, which schema they
// are in, how many there are of each provider and ecosystem, and which file they make.
// Its layers are the parts of that file, each compressed with zstd, in order: a
// connection that breaks costs one part.
//
// The file is the scanner's: an SQLite database of Grype's schema, indexed, so that a
// scan opens it as it comes. This package does not know what is in it; whoever opens
// it holds it against the config.
//
// Contract: a stranger may have written what is pulled. Pull recomputes the digests of
// the manifest, the config, each part and the file, and bounds sizes, numbers and what
// is unpacked. A database that is missing, broken, tampered with, too old, empty or of
// another format is a *oci.Error whose reason says which, and whose text says the
// cure: none of them is ever a database without vulnerabilities.
//
// The age of a database counts from AsOf, when its records were built, and never from
// when it was mirrored.
//
// Compress, Pack and Push make the artefact. The same file and config give the same
// digest, with one version of this program. Push writes the tag last.
package vulndb
