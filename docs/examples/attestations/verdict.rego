# Judges a verdict that Revet signed, for "cosign verify-attestation", which has verified the
# signature, the image's digest and the type. expected.rego says what to expect.
#
# "allow" is true, or the reasons why not, which cosign prints. What is missing, here or in
# expected.rego, is a reason.
package signature

import rego.v1

import data.expected

allow := true if count(reasons) == 0

allow := reasons if count(reasons) > 0

reasons contains sprintf("its result is %v", [said("verificationResult")]) if not passed

reasons contains sprintf("it is about an image in %v", [said("resourceUri")]) if not repository_expected

reasons contains sprintf("it follows the policy %v", [said("policy/uri")]) if not policy_expected

reasons contains sprintf("it is by the verifier %v", [said("verifier/id")]) if not verifier_expected

reasons contains sprintf("it is too old: of %v", [said("timeVerified")]) if not young

reasons contains sprintf("it is of the future: of %v", [said("timeVerified")]) if not past

reasons contains sprintf("it claims only %v", [said("verifiedLevels")]) if not levels_claimed

# said returns what the summary says, for a message.
said(path) := object.get(input, array.concat(["predicate"], split(path, "/")), "nothing")

# Each rule below is undefined if something is missing, so that "not" makes it a reason. An
# expression that stands after "not" itself is not always: keep to names there.

passed if input.predicate.verificationResult == "PASSED"

repository_expected if input.predicate.resourceUri in expected.repositories

repository_expected if {
	some repository in expected.repositories
	endswith(repository, "/")
	startswith(input.predicate.resourceUri, repository)
}

policy_expected if input.predicate.policy.uri in expected.policies

verifier_expected if input.predicate.verifier.id == expected.verifier

# age is that of the verdict, in nanoseconds.
age := time.now_ns() - time.parse_rfc3339_ns(input.predicate.timeVerified)

young if age <= time.parse_duration_ns(expected.max_age)

# Clocks may differ.
past if age + time.parse_duration_ns("5m") >= 0

levels_claimed if {
	every level in expected.levels {
		level in input.predicate.verifiedLevels
	}
}
