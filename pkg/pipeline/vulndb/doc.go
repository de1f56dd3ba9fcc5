// Package vulndb is the vulnerability database that scans compare with: OSV
// records, kept in a registry as an artefact and versioned by its digest.
//
// The artefact is an OCI 1.1 manifest of the type ArtifactType. Its config says
// where the records are from, how old they are, when they were mirrored and how
// many there are; each layer holds the records of one ecosystem, as a zip file of
//
//	records/0 ...   blocks of records, one JSON object a line
//	index           a line of what is in the file, and then for each name of a
//	                package the places of the records that tell of it, as
//	                "name" BLOCK.LINE BLOCK.LINE
//
// so that a scan reads the blocks that it needs, one at a time.
//
// Contract: a stranger may have written what is pulled. Open recomputes the
// digests of the manifest, the config and each layer, holds what the config says
// against the layers, and bounds sizes, numbers and what is unpacked. A database
// that is missing, broken, tampered with, too old, empty or of another format is
// a *content.Error whose reason says which, and whose text says the cure: none of
// them is ever a database without vulnerabilities. Where a database has no records
// of an ecosystem, Ecosystems does not list it, and nobody may take its packages
// for looked at.
//
// The age of a database counts from AsOf: the newest of its records in any
// ecosystem, or its source's own date where that is later; never from when it was
// mirrored. It does not tell that one ecosystem was forgotten while others went
// on: Config tells the newest record of each.
//
// Write and Pack make the artefact. The same records, source and times give the
// same bytes, whatever order they come in, with one version of this program.
package vulndb
