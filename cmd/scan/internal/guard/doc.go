// Package guard reports what Syft and Grype could not check in an image, or skip silently.
//
// Contract: there is a gap for each package that cannot be compared: the database has no records
// for its exact release or for its type, or its version cannot be parsed. There is a gap for each
// unread file that names packages: the file is broken, has a form that Revet does not read, or lies
// where nothing looks. Every gap says how to fix it. Guard counts gaps and names a few examples, so
// an image cannot produce huge numbers of them.
package guard
