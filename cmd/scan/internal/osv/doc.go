// Package osv reads vulnerability records in the OSV format (https://ossf.github.io/osv-schema/),
// as far as a database needs them.
//
// Contract: Parse refuses a record that it would misread: one without an identifier, or with a
// range event that has no or several fields. It ignores unknown fields, because the format grows.
package osv
