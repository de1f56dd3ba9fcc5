// Package match finds the vulnerabilities of packages in records of a database.
//
// Contract: it is pure. Versions are compared by the rules of their ecosystem. A
// record that was withdrawn speaks of nothing. A package without a version that can
// be compared, and one of an ecosystem that the database has no records of, is not
// matched and not held for clean: it is counted apart, see [Packages.Unmatched]. A
// record with a version that cannot be compared speaks of all versions, and says so:
// one faulty record neither hides a vulnerability nor ends the scan.
package match
