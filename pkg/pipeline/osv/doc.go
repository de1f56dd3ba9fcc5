// Package osv reads vulnerability records in the format of OSV
// (https://ossf.github.io/osv-schema/), as far as a scan needs them.
//
// Contract: Parse refuses a record that it would misread: without an identifier, or
// with an event of a range that says nothing, or more than one thing. Fields that it does not know are left
// alone, as the format grows.
//
// An ecosystem is compared by its name and its release: "Debian:12" is covered by
// records of "Debian:12" and of "Debian", and a package of which the release is
// not known by records of all releases, so that it is never held for clean.
//
// Severity is computed from the CVSS vectors of a record, the worst of them; where
// there are none, the words that databases use instead are read. Where there is
// nothing of both, it is unknown.
package osv
