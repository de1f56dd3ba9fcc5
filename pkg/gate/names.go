package gate

import (
	"fmt"
	"regexp"
	"strings"
)

// Name is a reference as kubelets and containerd understand it.
type Name struct {
	// Repository is host/path, as in docker.io/library/nginx.
	Repository string
	// Tag is empty only beside a digest.
	Tag string
	// Digest is 64 hexadecimal digits, or empty. Where there is one, runtimes ignore the tag.
	Digest string
}

// String returns host/path[:tag][@sha256:hex].
func (n Name) String() string {
	s := n.Repository
	if n.Tag != "" {
		s += ":" + n.Tag
	}
	if n.Digest != "" {
		s += "@sha256:" + n.Digest
	}
	return s
}

// The grammar of a normalised name. It is that of CNCF Distribution, in lower case: no registry
// tells hosts by case, and nobody shall get past a pattern by it.
const (
	component  = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	hostLabel  = `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`
	hostExpr   = `(?:` + hostLabel + `(?:\.` + hostLabel + `)*|\[[a-f0-9:]+\])(?::[0-9]{1,5})?`
	tagExpr    = `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`
	digestExpr = `@sha256:[0-9a-f]{64}`

	nameExpr = `^` + hostExpr + `(?:/` + component + `)+(?::` + tagExpr + `)?$`
	// idExpr are images by their local ID. Runtimes take what looks like one for one, before
	// they look for a registry.
	idExpr = `^(?:[0-9a-f]{64}|sha(?:256|384|512):.*)$`
	// digestedExpr are references with a digest that runtimes pull by.
	digestedExpr = `^[^@]+` + digestExpr + `$`
	// taggedExpr are names with a tag.
	taggedExpr = `:[^/]*$`
	// maxName is the longest path, a tag and what stands between.
	maxName = 255 + 1 + 128
)

// hostRule says what the names that match an expression are short for: prefix, and what stands
// behind strip.
type hostRule struct {
	expr, strip, prefix string
}

// hostRules are in their order; the last one matches everything. Go and CEL are made of them.
var hostRules = []hostRule{
	{`^[^/]*$`, "", "docker.io/library/"},
	{`^docker\.io/[^/]*$`, "docker.io/", "docker.io/library/"},
	{`^index\.docker\.io/[^/]*$`, "index.docker.io/", "docker.io/library/"},
	{`^index\.docker\.io/`, "index.docker.io/", "docker.io/"},
	{`^(?:[^/]*[.:][^/]*|localhost)/`, "", ""},
	{``, "", "docker.io/"},
}

var (
	validName  = regexp.MustCompile(nameExpr)
	imageID    = regexp.MustCompile(idExpr)
	digested   = regexp.MustCompile(digestedExpr)
	hasTagExpr = regexp.MustCompile(taggedExpr)
	hostMatch  = func() []*regexp.Regexp {
		all := make([]*regexp.Regexp, len(hostRules))
		for i, r := range hostRules {
			all[i] = regexp.MustCompile(r.expr)
		}
		return all
	}()
)

// withHost adds the host that a name is short of.
func withHost(name string) string {
	for i, r := range hostRules {
		if hostMatch[i].MatchString(name) {
			return r.prefix + name[len(r.strip):]
		}
	}
	return name
}

// Normalize parses a reference as kubelets and containerd do: nginx is
// docker.io/library/nginx:latest. It refuses whatever they refuse, capital letters in hosts,
// images by their local ID, and digests of another algorithm than SHA-256.
func Normalize(image string) (Name, error) {
	bare, digest, _ := strings.Cut(image, "@")
	if strings.Contains(image, "@") && !digested.MatchString(image) {
		return Name{}, fmt.Errorf("reference %q has a digest other than @sha256: "+
			"and 64 hexadecimal digits in lower case", clip(image))
	}
	if imageID.MatchString(bare) {
		return Name{}, fmt.Errorf("reference %q is the ID of an image on a node; "+
			"write host/path:tag or host/path@sha256:hex", clip(image))
	}
	full := withHost(bare)
	if digest == "" && !hasTagExpr.MatchString(full) {
		full += ":latest"
	}
	if len(full) > maxName || !validName.MatchString(full) {
		return Name{}, fmt.Errorf("reference %q is no valid name of an image; "+
			"write host/path:tag in lower case", clip(image))
	}
	n := Name{Repository: full, Digest: strings.TrimPrefix(digest, "sha256:")}
	if i := strings.LastIndexByte(full, ':'); i > strings.LastIndexByte(full, '/') {
		n.Repository, n.Tag = full[:i], full[i+1:]
	}
	return n, nil
}

// clip bounds how much a hostile value adds to an error.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
