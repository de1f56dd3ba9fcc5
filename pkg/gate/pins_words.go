package gate

import "fmt"

// celPinned is CEL that is true if the gate's tags, in variable tags, say which digest a name
// stands for.
func celPinned(name string) string {
	return fmt.Sprintf("(%[1]s in variables.tags && variables.tags[%[1]s].matches(%[2]s))", name, celHex)
}

// tagWords say why the newest push of a tag is not pinned.
var tagWords = []struct {
	reason Reason
	words  string
}{
	{ReasonBeingVerified, "its newest push is being verified; try again once it has passed"},
	{ReasonFailed, "its newest push failed"},
	{ReasonNotVerified, "the verification of its newest push ended without a verdict"},
	{ReasonTooManyTags, "nobody knows its newest push, as a digest of its repository was pushed to too many tags"},
	{ReasonExpired, "the verdict of its newest push is too old"},
}

// celTagWords is CEL for why a reference without a digest is refused, and what to write
// instead. The arguments are CEL for the reference as it stands and its normalised name.
func celTagWords(image, name string) string {
	value := "variables.tags[" + name + "]"
	why := quote("its newest push does not meet the gate's requirements: ") + " + " + value
	for _, w := range tagWords {
		why = fmt.Sprintf("%s == %s ? %s : %s", value, quote(string(w.reason)), quote(w.words), why)
	}
	return fmt.Sprintf("(%s ? %s + %s + '@sha256:' + %s : %s in variables.tags ? (%s) : %s + %s)",
		celPinned(name), quote("it was not pinned; write "), celWithTag(image), value, name, why,
		quote("no trusted trigger has recorded a push of this tag; write "), name+" + '@sha256:DIGEST'")
}

// celWithTag is CEL for a reference without a digest, with its tag.
func celWithTag(image string) string {
	return fmt.Sprintf("%[1]s + (%[1]s.matches(%[2]s) ? '' : ':latest')", image, quote(taggedExpr))
}
