// Package triage says which of the vulnerabilities that a scanner found fail an
// image: by the user's policy, and by OpenVEX documents beside it.
//
// A policy is YAML:
//
//	failOn: [critical, high, unknown]   # levels that fail; others are warnings
//	onlyIfFixed: true                   # or a list of levels, or false
//	unmatched: fail                     # or warn: packages of ecosystems that the database lacks
//	ignore:
//	- id: CVE-2026-1234                 # or an alias; "*" for all of some packages
//	  packages: ["openssl", "pkg:deb/debian/openssl@3.*"]  # optional patterns
//	  reason: we never parse certificates of strangers
//	  expires: 2026-06-30               # the last day; a time; or never
//
// What is left out is as above; a policy that is not there is Default. Levels are
// those of package findings; unknown is of a vulnerability whose source gives no
// severity, as Debian's and Go's often do. That it fails by default if there is a
// fix is meant: an update is at hand, and nobody said that it can wait.
//
// A pattern is compared with a package's name, NAME@VERSION and package URL, each
// as a whole; * stands for anything.
//
// OpenVEX documents (0.2.0) are files beside the policy that end in .openvex.json
// or .vex.json. A statement that something is not_affected or fixed suppresses;
// affected and under_investigation do not. Of several about the same, the latest
// counts, and at the same time the one that does not suppress. It is about a
// vulnerability by its name or an alias, and about
//
//	a package of an image     its product is the image, and a subcomponent the package
//	all packages of an image  its product is the image, without subcomponents
//	a package in any image    its product is the package, without subcomponents
//
// An image is known by its digest alone, or that of its index, in a package URL of
// the type oci or as a sha-256 hash: a name would be another image tomorrow. A
// package is known by a package URL: what it leaves out, such as the version or
// qualifiers, may be anything.
//
// Contract: Judge is pure. It never drops a vulnerability: those that fail nothing
// are marked with the reason, counted, and told of by a warning for each image. An
// entry that expired does not hold, and is told of. What cannot be read, is not
// known or is not complete is an error that names the place. The zero Policy fails
// on everything.
package triage
