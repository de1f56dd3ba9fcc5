// Package filldatabase is the command "fill-database", which fills the vulnerability
// database of a namespace and keeps it filled.
package filldatabase
