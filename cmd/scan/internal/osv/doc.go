// Package osv reads vulnerability records in the format of OSV
// (https://ossf.github.io/osv-schema/), as far as a database needs them.
//
// Contract: Parse refuses a record that it would misread: without an identifier, or
// with an event of a range that says nothing, or more than one thing. Fields that it
// does not know are left alone, as the format grows.
package osv
