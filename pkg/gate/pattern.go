package gate

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/revet-dev/revet/pkg/selector"
)

// Pattern is a pattern for whole normalised names, such as registry.k8s.io/**. The zero value
// matches nothing.
type Pattern struct {
	// prefix is what every name that matches begins with, and rest is an anchored expression
	// of what follows; empty if nothing does.
	prefix, rest string
	// tagged is true if the pattern is for host/path:tag, and false if it is for host/path.
	tagged  bool
	matcher *regexp.Regexp
}

// patternExpr are the characters of names, and those that patterns give a meaning.
var patternExpr = regexp.MustCompile(`^[A-Za-z0-9._/:*?-]+$`)

// ParsePattern parses host/path or host/path:tag. The rule for path and tag is that of
// spec.images of triggers. The host takes no wildcards, because nobody means to match a
// stranger's host. A pattern without a tag matches every tag and every digest of the
// repository. One with a tag matches no reference with a digest: runtimes would ignore the
// tag.
func ParsePattern(pattern string) (Pattern, error) {
	if !patternExpr.MatchString(pattern) {
		return Pattern{}, fmt.Errorf("pattern %q has characters that no name has; "+
			"only *, ? and, as a whole path segment, ** are special", clip(pattern))
	}
	host, path, ok := strings.Cut(pattern, "/")
	switch {
	case !ok || host == "" || strings.ContainsAny(host, "*?"):
		return Pattern{}, fmt.Errorf("pattern %q does not begin with a registry host, which takes no "+
			"wildcards; write host/path, for example registry.k8s.io/**", clip(pattern))
	case host == "index.docker.io":
		return Pattern{}, fmt.Errorf("pattern %q can never match: names of index.docker.io "+
			"are normalised to docker.io", clip(pattern))
	case withHost(host+"/x/x") != host+"/x/x":
		return Pattern{}, fmt.Errorf("pattern %q can never match: %q is no registry host, and such names "+
			"are normalised to docker.io/%s", clip(pattern), host, clip(pattern))
	case !validName.MatchString(host + "/x:x"):
		return Pattern{}, fmt.Errorf("pattern %q can never match: %q is no registry host in lower case",
			clip(pattern), host)
	}
	if i := strings.IndexByte(path, ':'); i >= 0 && strings.ContainsAny(path[i+1:], ":/") {
		return Pattern{}, fmt.Errorf("pattern %q can never match: only a tag at its end has a colon",
			clip(pattern))
	}
	names, err := selector.ParseNames(path)
	if err != nil {
		return Pattern{}, err
	}
	repository, tag := names.Expressions()
	expr := regexp.QuoteMeta(host) + "/" + repository
	p := Pattern{prefix: literal(pattern), tagged: tag != ""}
	if p.tagged {
		expr += ":" + tag
	}
	rest, ok := strings.CutPrefix(expr, regexp.QuoteMeta(p.prefix))
	if !ok {
		return Pattern{}, fmt.Errorf("pattern %q does not begin with its own prefix %q: this is a bug",
			clip(pattern), p.prefix)
	}
	if rest != "" {
		p.rest = "^(?:" + rest + ")$"
	}
	if p.matcher, err = regexp.Compile("^(?:" + rest + ")$"); err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", clip(pattern), err)
	}
	return p, nil
}

// literal is the part of a pattern that stands in every name that matches it.
func literal(pattern string) string {
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		pattern = pattern[:i]
	}
	// A ** may stand for nothing, and then takes its slash along.
	return strings.TrimSuffix(pattern, "/")
}

// Match reports whether the whole of a name matches.
func (p Pattern) Match(n Name) bool {
	if p.matcher == nil || (p.tagged && n.Digest != "") {
		return false
	}
	subject := n.Repository
	if p.tagged {
		subject += ":" + n.Tag
	}
	rest, ok := strings.CutPrefix(subject, p.prefix)
	return ok && p.matcher.MatchString(rest)
}

// cel is CEL for whether a reference r of [celReferences] matches. The API server charges for
// the length of an expression times that of what it is matched with: so it is only matched
// with what follows the prefix.
func (p Pattern) cel() string {
	subject, only := "r.repository", ""
	if p.tagged {
		subject, only = "r.name", "r.hex == '' && "
	}
	if p.rest == "" {
		return only + subject + " == " + quote(p.prefix)
	}
	return fmt.Sprintf("%s%[2]s.startsWith(%[3]s) && %[2]s.substring(%[4]d).matches(%[5]s)",
		only, subject, quote(p.prefix), len(p.prefix), quote(p.rest))
}
