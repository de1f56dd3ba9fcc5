// Package validate checks an image's configuration, its SBOM and its findings against CEL rules
// that the user writes.
//
// A rules file is YAML:
//
//	parameters:            # optional; values that expressions read
//	  maxAgeDays: 365
//	rules:
//	- name: non-root       # unique; lower-case letters, digits and dashes
//	  severity: error      # or warning, which fails nothing; default error
//	  expression: ...      # true if the image is as it should be
//	  message: ...         # what to report if it is not
//	  messageExpression: ...  # optional CEL expression for a string, reported instead
//
// Expressions see
//
//	image       digest, mediaType, platform, created, size,
//	            config {user, env, labels, entrypoint, cmd, exposedPorts, workingDir},
//	            history [{created, createdBy, comment, emptyLayer}],
//	            layers [{digest, size, mediaType}]
//	base        name, digest: the claimed base image, from the annotations and
//	            labels org.opencontainers.image.base.*
//	sbom        packages [{name, version, purl, type}]
//	findings    vulnerabilities [{id, aliases, level, score, package, version,
//	            fixedIn, ignored, kind, knownExploited, malware}], databaseAsOf
//	now         the time of the check
//	parameters  the map above
//
// Expressions can call CEL's standard library and its strings extension. env is a list of
// NAME=value. labels is a map. A field that the image leaves out is empty, except that
// image.created is then 1970.
//
// Rules that use sbom or findings apply only if Materials has them. The report names the rules that
// did not apply.
//
// Contract: Check and CheckWith are pure. A false rule gives a finding. A rule that cannot be read,
// compiled or evaluated gives an error, so a broken rule never passes an image. Every image of an
// index is checked. The file, the expressions and the cost of evaluating them are bounded.
package validate
