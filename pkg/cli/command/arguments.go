package command

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// AtMostOne allows no argument or one. Anything else is a usage error.
func AtMostOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return Usagef("at most one %s is allowed, not %d", what, len(args))
		}
		return nil
	}
}

// ExactlyOne requires one argument. Anything else is a usage error.
func ExactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return Usagef("exactly one %s is required, not %d", what, len(args))
		}
		return nil
	}
}

// CheckOutput returns a usage error unless the output is one that the command has.
func CheckOutput(output string, allowed []string) error {
	if !slices.Contains(allowed, output) {
		return Usagef("unknown output %q; allowed: %s", output, strings.Join(allowed, ", "))
	}
	return nil
}

// Query says which entries a user means. Empty fields match every entry.
type Query struct {
	// Name is the name of an entry.
	Name string
	// Repository is host/path, namespace/stream, or a stream's name alone.
	Repository string
	Tag        string
	// Digest is a digest or its beginning.
	Digest string
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{6,64}$`)

// ParseQuery reads NAME, or one of the forms of an image.
func ParseQuery(s string) (Query, error) {
	if repository, digest, ok := strings.Cut(s, "@"); ok {
		if _, err := image.ParseDigest(digest); err != nil {
			return Query{}, Usagef("%w", err)
		}
		// The digest is enough: a tag before it only says how somebody found it.
		repository, _ = cutTag(repository)
		return Query{Repository: repository, Digest: digest}, nil
	}
	if strings.HasPrefix(s, "sha256:") {
		if !digestPattern.MatchString(s) {
			return Query{}, Usagef("digest %q must have 6 to 64 hexadecimal digits after sha256:", s)
		}
		return Query{Digest: s}, nil
	}
	if !strings.ContainsAny(s, "/:") {
		if s == "" {
			return Query{}, Usagef("NAME or IMAGE must not be empty")
		}
		return Query{Name: s}, nil
	}
	repository, tag := cutTag(s)
	if repository == "" || (tag == "" && strings.HasSuffix(s, ":")) {
		return Query{}, Usagef("image %q is not repository:tag", s)
	}
	if tag != "" && !image.ValidTag(tag) {
		return Query{}, Usagef("tag %q is not valid", tag)
	}
	return Query{Repository: repository, Tag: tag}, nil
}

// cutTag cuts the tag off, which follows the last colon. A host's port is no tag.
func cutTag(s string) (repository, tag string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// String says what the query selects.
func (q Query) String() string {
	if q.Name != "" {
		return fmt.Sprintf("with the name %q, or of an ImageStream with that name", q.Name)
	}
	var parts []string
	if q.Repository != "" {
		parts = append(parts, fmt.Sprintf("repository %q", q.Repository))
	}
	if q.Tag != "" {
		parts = append(parts, fmt.Sprintf("tag %q", q.Tag))
	}
	if q.Digest != "" {
		parts = append(parts, fmt.Sprintf("digest %q", q.Digest))
	}
	return "of " + strings.Join(parts, " and ")
}

// Find returns the entries that match, newest push first. If none matches as written,
// it returns those that match under another host, and otherHost is true: a registry often
// has one name inside the cluster and another outside.
func (q Query) Find(all []v1alpha1.ImageVerification) (found []v1alpha1.ImageVerification, otherHost bool) {
	for _, same := range q.matchers() {
		for i := range all {
			if same.match(&all[i]) {
				found = append(found, all[i])
			}
		}
		if len(found) > 0 {
			NewestFirst(found)
			return found, same.otherHost
		}
	}
	return nil, false
}

type matcher struct {
	match     func(*v1alpha1.ImageVerification) bool
	otherHost bool
}

// matchers returns the ways to match. Find uses the first one that matches any entry.
func (q Query) matchers() []matcher {
	if q.Name != "" {
		return []matcher{
			{match: func(e *v1alpha1.ImageVerification) bool { return e.Name == q.Name }},
			{match: func(e *v1alpha1.ImageVerification) bool { return sameRepository(e, q.Name) }},
		}
	}
	rest := func(e *v1alpha1.ImageVerification) bool {
		_, tagged := e.TagOf(q.Tag)
		return strings.HasPrefix(e.Spec.Digest, q.Digest) && (q.Tag == "" || tagged)
	}
	if q.Repository == "" {
		return []matcher{{match: rest}}
	}
	return []matcher{
		{match: func(e *v1alpha1.ImageVerification) bool { return sameRepository(e, q.Repository) && rest(e) }},
		{match: func(e *v1alpha1.ImageVerification) bool { return samePath(e, q.Repository) && rest(e) }, otherHost: true},
	}
}

// sameRepository compares with the repository's name, with where runtimes pull it from,
// and with the name of an ImageStream without its namespace.
func sameRepository(e *v1alpha1.ImageVerification, repository string) bool {
	r := e.Spec.Repository
	if r.Name == repository || r.Pull == repository {
		return true
	}
	_, stream, _ := strings.Cut(r.Name, "/")
	return r.Kind == v1alpha1.RepositoryImageStream && stream == repository
}

func samePath(e *v1alpha1.ImageVerification, repository string) bool {
	host, path, ok := strings.Cut(repository, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return false
	}
	_, pull, _ := strings.Cut(e.Spec.Repository.Pull, "/")
	return path == pull || path == e.Spec.Repository.Name
}

// WhatExists ends an error about an image that was not found: it lists those that exist.
func WhatExists(all []v1alpha1.ImageVerification, namespace string) string {
	if len(all) == 0 {
		if namespace == "" {
			return "there are none at all: no push matched an ImageTrigger"
		}
		return "there are none at all; use -A to look in every namespace"
	}
	tags := map[string][]string{}
	for i := range all {
		name := all[i].Spec.Repository.Name
		for _, t := range TagsNewestFirst(&all[i]) {
			if !slices.Contains(tags[name], t) {
				tags[name] = append(tags[name], t)
			}
		}
	}
	const most = 8
	var names []string
	for name := range tags {
		names = append(names, name)
	}
	slices.Sort(names)
	var listed []string
	for _, name := range names[:min(len(names), most)] {
		slices.Sort(tags[name])
		shown := tags[name][:min(len(tags[name]), most)]
		listed = append(listed, fmt.Sprintf("%s (%s)", Printable(name), cmp.Or(strings.Join(shown, ", "), "no tags")))
	}
	text := "there are " + strings.Join(listed, "; ")
	if more := len(names) - len(listed); more > 0 {
		text += fmt.Sprintf("; and %d more repositories (see: kubectl revet get)", more)
	}
	return text
}
