package gate

import (
	"fmt"
)

// tagKnown is CEL that is true if the gate's tags say which digest a reference without a
// digest stands for. The parameter of its policy is the VerifiedImages of [TagsName].
func tagKnown(image string) string {
	known := celNormalize(image)
	return fmt.Sprintf("(has(params.tags) && %[1]s in params.tags && params.tags[%[1]s].%[2]s)", known, isHex)
}

// tagWords is CEL for what a person reads whose reference without a digest is refused: why,
// and what to do.
func tagWords(image string) string {
	known := celNormalize(image)
	value := "params.tags[" + known + "]"
	words := fmt.Sprintf("'its newest push is not verified (' + %s + '): kubectl revet gate test --image ' + %s", value, image)
	for _, r := range []struct {
		reason Reason
		words  string
	}{
		{ReasonExpired, "'the verdict of its newest push is too old: push it again, or ask for another run with kubectl revet replay'"},
		{ReasonNotVerified, "'the verification of its newest push ended without a verdict: kubectl revet get says why'"},
		{ReasonBeingVerified, "'its newest push is being verified: try again once it passed'"},
		{ReasonFailed, "'its newest push failed: kubectl revet get says why'"},
	} {
		words = fmt.Sprintf("%s == '%s' ? %s : %s", value, r.reason, r.words, words)
	}
	return fmt.Sprintf("(%s ? 'write ' + %s + '@sha256:' + %s", tagKnown(image), withTag(image), value) +
		fmt.Sprintf(" : has(params.tags) && %s in params.tags ? (%s)", known, words) +
		" : 'it names no digest, and no trusted trigger recorded a push of this tag: write NAME:TAG@sha256:... of a verified image')"
}

// withTag is CEL for a reference without a digest, with its tag.
func withTag(image string) string {
	return fmt.Sprintf("%[1]s + (%[1]s.%[2]s ? '' : ':latest')", image, hasTag)
}
