// Package validate checks an image's configuration, and what is known of it,
// against rules that the user writes in CEL.
//
// A rules file is YAML:
//
//	parameters:            # optional; values that expressions read
//	  maxAgeDays: 365
//	rules:
//	- name: non-root       # unique; lower-case letters, digits and dashes
//	  severity: error      # or warning, which fails nothing; error if left out
//	  expression: ...      # true where the image is as it should be
//	  message: ...         # what to tell where it is not
//	  messageExpression: ...  # optional CEL for a string, told instead
//
// Expressions see
//
//	image       digest, mediaType, platform, created, size,
//	            config {user, env, labels, entrypoint, cmd, exposedPorts, workingDir},
//	            history [{created, createdBy, comment, emptyLayer}],
//	            layers [{digest, size, mediaType}]
//	base        name, digest: what the image claims to be built from, in the
//	            annotations and labels org.opencontainers.image.base.*
//	sbom        packages [{name, version, purl, type}]
//	findings    vulnerabilities [{id, aliases, level, score, package, version,
//	            fixedIn, ignored, kind, knownExploited, malware}], databaseAsOf
//	now         the time of the check
//	parameters  the map above
//
// and the functions of CEL's standard library and its strings extension.
// env is a list of NAME=value; labels is a map; what the image leaves out is
// empty, and image.created, where it is left out, is 1970.
//
// A rule that speaks of sbom or findings is applied only where Materials has them;
// the report names those that were not.
//
// Contract: Check and CheckWith are pure. A rule that is false gives a finding; a rule that
// cannot be read, compiled or evaluated gives an error, so that a broken rule
// never passes an image. Every image of an index is checked. The file, the
// expressions and the cost of evaluating them are bounded.
package validate
