// Package policy decides which findings fail an image: vulnerabilities that a scanner found,
// and content that nobody could look at. The user's policy and OpenVEX documents beside it
// decide.
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
// Fields that are left out have the values above, without exceptions. A file that does not
// exist stands for Default. Levels are those of package result. A vulnerability is unknown if
// its source gives no severity, as Debian's and Go's often do. By default such a vulnerability
// fails the image if a fix exists: an update is available, and nobody decided that it can
// wait. known-exploited stands beside the levels, for vulnerabilities that are exploited.
//
// Rules lists the rules for what nobody could look at. Images are patterns of
// host/repository: * matches within a segment, ** matches one segment or more. They apply to
// the reference that the caller gives; the image has no influence on that.
//
// Known malware fails an image whatever a policy or a document says, and the finding names
// the entry that tried to let it pass.
//
// A pattern of packages applies to a package's name, to NAME@VERSION, and to its package URL,
// each as a whole. * matches anything.
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
// Only a digest identifies an image: its own, or that of its index, in a package URL of the
// type oci or as a sha-256 hash. A name could be another image tomorrow. A package URL
// identifies a package. What the URL leaves out, such as the version, may be anything.
//
// Judge, Gap, Gaps and Report are pure. Judge drops no vulnerability: it marks those that fail
// nothing with the reason, counts them, and reports them in a warning for each image and
// entry. A waived finding carries its waiver. An expired entry has no effect, and is reported.
// Input that cannot be read, is unknown or is incomplete is an error that names the place. The
// zero Policy fails on everything.
package policy
