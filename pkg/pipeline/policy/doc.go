// Package policy decides which findings fail an image. Findings are vulnerabilities that a scanner
// found, and gaps: content that no scanner could check. The user's policy and the OpenVEX documents
// beside it decide.
//
// A policy is YAML:
//
//	failOn: [critical, high, unknown]   # levels that fail; the others are warnings
//	onlyIfFixed: true                   # or a list of levels, or false
//	rules: {no-packages: warn}          # gaps; those left out fail
//	exceptions:
//	- rules: [no-packages]
//	  images: ["registry.example.com/team-c/**"]
//	  subjects: ["debian:*"]            # optional patterns
//	  reason: static C programs
//	  owner: team-c@example.com
//	  expires: 2026-06-30               # the last day; a time; or never
//	ignore:
//	- id: CVE-2026-1234                 # or an alias; "*" for everything in some packages
//	  packages: ["openssl", "pkg:deb/debian/openssl@3.*"]  # optional patterns
//	  reason: we never parse certificates of strangers
//	  owner: security@example.com       # optional here
//	  expires: 2026-06-30
//
// failOn and onlyIfFixed default to the values above. The other fields default to nothing. If the
// file does not exist, Default applies. Levels are those of package result. A vulnerability has the
// level unknown if its source gives no severity, as Debian's and Go's often do. By default an
// unknown vulnerability fails the image if a fix exists: an update is available, and nobody has
// decided that it can wait. known-exploited can be listed beside the levels; it means
// vulnerabilities that are exploited.
//
// rules sets what each gap rule does for all images. images are patterns of host/repository: *
// matches within a segment, ** matches one segment or more. Policy compares them with the reference
// that the caller passes, which the image cannot influence.
//
// Known malware always fails an image. If a policy entry or a document tries to let it pass, the
// finding names that entry.
//
// A pattern in packages must match a whole package name, NAME@VERSION, or package URL. * matches
// anything.
//
// OpenVEX documents (0.2.0) are files beside the policy with names ending in .openvex.json or
// .vex.json. A statement suppresses a vulnerability if its status is not_affected or fixed, and not
// if it is affected or under_investigation. If several statements are about the same thing, the
// latest counts; if they have the same time, the one that does not suppress counts. A statement
// names a vulnerability by name or alias, and applies to one of
//
//	a package of an image     its product is the image, with the package as subcomponent
//	all packages of an image  its product is the image, without subcomponents
//	a package in any image    its product is the package, without subcomponents
//
// Only a digest identifies an image: its own digest or the digest of its index, in a package URL of
// type oci or as a sha-256 hash. A name does not, because tomorrow it could mean another image. A
// package URL identifies a package. Parts that the URL leaves out, such as the version, match
// anything.
//
// Judge, Gap, Gaps and Report are pure. Judge drops no vulnerability. It marks a suppressed
// vulnerability with the reason, counts it, and reports it in one warning for each image and entry.
// A waived finding carries its waiver. An expired entry has no effect, and is reported. Unreadable,
// unknown or incomplete input is an error that names the place. The zero Policy fails on
// everything.
package policy
