// Package policy says what of an image fails it: which of the vulnerabilities that a
// scanner found, by the user's policy and by OpenVEX documents beside it, and what
// nobody could look at.
//
// A policy is YAML:
//
//	failOn: [critical, high, unknown]   # levels that fail; others are warnings
//	onlyIfFixed: true                   # or a list of levels, or false
//	rules: {no-packages: warn}          # what nobody could look at; fail if left out
//	exceptions:
//	- rules: [no-packages]
//	  images: ["registry.example.com/team-c/**"]
//	  subjects: ["debian:*"]            # optional patterns
//	  reason: static C programs
//	  owner: team-c@example.com
//	  expires: 2026-06-30               # the last day; a time; or never
//	ignore:
//	- id: CVE-2026-1234                 # or an alias; "*" for all of some packages
//	  packages: ["openssl", "pkg:deb/debian/openssl@3.*"]  # optional patterns
//	  reason: we never parse certificates of strangers
//	  owner: security@example.com       # optional here
//	  expires: 2026-06-30
//
// What is left out is as above, without exceptions; a policy that is not there is
// Default. Levels are those of package result; unknown is of a vulnerability whose
// source gives no severity, as Debian's and Go's often do. That it fails by default if
// there is a fix is meant: an update is at hand, and nobody said that it can wait.
// known-exploited stands beside the levels, for what is exploited whatever its level.
//
// Rules lists the rules of what nobody could look at. Images are patterns of
// host/repository: * is within a segment, ** for one or more. They are compared with
// the reference that the caller gives, which the image has no part in.
//
// Known malware fails whatever a policy or a document says, and the finding names what
// tried to let it pass.
//
// A pattern of packages is compared with a package's name, NAME@VERSION and package URL, each
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
// Contract: Judge, Gap, Gaps and Report are pure. Judge never drops a vulnerability:
// those that fail nothing are marked with the reason, counted, and told of by a warning
// for each image and entry. What is waived carries its waiver. An entry that expired
// does not hold, and is told of. What cannot be read, is not known or is not complete
// is an error that names the place. The zero Policy fails on everything.
package policy
