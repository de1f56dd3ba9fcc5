package gate

import (
	"fmt"
	"strconv"
	"strings"
)

// quote returns a CEL literal of a string.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// quoteAll returns a CEL list of strings.
func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// celWithHost is withHost in CEL, of an expression without side conditions.
func celWithHost(of string) string {
	var b strings.Builder
	for _, r := range hostRules {
		name := of
		if r.strip != "" {
			name = fmt.Sprintf("%s.substring(%d)", of, len(r.strip))
		}
		if r.prefix != "" {
			name = quote(r.prefix) + " + " + name
		}
		if r.expr == "" {
			b.WriteString(name)
			break
		}
		fmt.Fprintf(&b, "%s.matches(%s) ? %s : ", of, quote(r.expr), name)
	}
	return "(" + b.String() + ")"
}

// celReferences is CEL for a list of references, taken apart: image is the reference as it
// stands, hex the digits of its digest or empty, name what Normalize makes of it, or empty
// where Normalize refuses it, and repository its host and path.
func celReferences(images string) string {
	tagged := "r.full.matches(" + quote(taggedExpr) + ")"
	return images +
		".map(i, string(i)).map(i, {'image': i, 'bare': i.split('@')[0]" +
		", 'digest': i.contains('@') ? i.substring(i.indexOf('@')) : ''})" +
		".map(r, {'image': r.image, 'bare': r.bare, 'digest': r.digest" +
		", 'full': " + celWithHost("r.bare") + "})" +
		".map(r, {'image': r.image, 'bare': r.bare, 'digest': r.digest" +
		", 'full': r.digest != '' || " + tagged + " ? r.full : r.full + ':latest'})" +
		".map(r, {'image': r.image" +
		", 'hex': r.image.matches(" + quote(digestedExpr) + ") ? r.digest.substring(8) : ''" +
		", 'name': (r.digest == '' || r.image.matches(" + quote(digestedExpr) + "))" +
		" && !r.bare.matches(" + quote(idExpr) + ")" +
		" && r.full.size() <= " + strconv.Itoa(maxName) +
		" && r.full.matches(" + quote(nameExpr) + ") ? r.full + r.digest : ''" +
		", 'repository': " + tagged + " ? r.full.substring(0, r.full.lastIndexOf(':')) : r.full})"
}

// celNormalize is CEL for the normalised host/path:tag of a reference without a digest, or
// empty if there is none.
func celNormalize(of string) string {
	return celReferences("["+of+"]") + "[0].name"
}

// celClip is CEL for a text that is not longer than clip makes it.
func celClip(of string) string {
	return fmt.Sprintf("(%[1]s.size() <= 256 ? %[1]s : %[1]s.substring(0, 256) + '...')", of)
}
