package cli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// query is what a user names an image by. Empty fields do not restrict.
type query struct {
	// name is an entry's.
	name string
	// repository is host/path, namespace/stream, or a stream's name alone.
	repository string
	tag        string
	// digest is a digest, or its beginning.
	digest string
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{6,64}$`)

// parseQuery reads NAME, or one of the forms of an image.
func parseQuery(s string) (query, error) {
	if repository, digest, ok := strings.Cut(s, "@"); ok {
		if _, err := image.ParseDigest(digest); err != nil {
			return query{}, usagef("%w", err)
		}
		// The digest says it all; a tag before it is what it was found by.
		repository, _ = cutTag(repository)
		return query{repository: repository, digest: digest}, nil
	}
	if strings.HasPrefix(s, "sha256:") {
		if !digestPattern.MatchString(s) {
			return query{}, usagef("digest %q must have 6 to 64 hexadecimal digits after sha256:", s)
		}
		return query{digest: s}, nil
	}
	if !strings.ContainsAny(s, "/:") {
		if s == "" {
			return query{}, usagef("NAME or IMAGE must not be empty")
		}
		return query{name: s}, nil
	}
	repository, tag := cutTag(s)
	if repository == "" || (tag == "" && strings.HasSuffix(s, ":")) {
		return query{}, usagef("image %q is not repository:tag", s)
	}
	if tag != "" && !image.ValidTag(tag) {
		return query{}, usagef("tag %q is not valid", tag)
	}
	return query{repository: repository, tag: tag}, nil
}

// cutTag cuts what follows the last colon, unless that is a host's port.
func cutTag(s string) (repository, tag string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// String says what is looked for.
func (q query) String() string {
	if q.name != "" {
		return fmt.Sprintf("named %q, or of an ImageStream of that name", q.name)
	}
	var parts []string
	if q.repository != "" {
		parts = append(parts, fmt.Sprintf("repository %q", q.repository))
	}
	if q.tag != "" {
		parts = append(parts, fmt.Sprintf("tag %q", q.tag))
	}
	if q.digest != "" {
		parts = append(parts, fmt.Sprintf("digest %q", q.digest))
	}
	return "of " + strings.Join(parts, " and ")
}

// find returns the entries that match, newest push first. Entries that match
// only by the path of their repository, under another host, are returned if no
// entry matches as it was written, and then otherHost is true: the same registry
// often has one name inside the cluster and another outside.
func (q query) find(all []v1alpha1.ImageVerification) (found []v1alpha1.ImageVerification, otherHost bool) {
	for _, same := range q.matchers() {
		for i := range all {
			if same.match(&all[i]) {
				found = append(found, all[i])
			}
		}
		if len(found) > 0 {
			newestFirst(found)
			return found, same.otherHost
		}
	}
	return nil, false
}

type matcher struct {
	match     func(*v1alpha1.ImageVerification) bool
	otherHost bool
}

// matchers are tried in turn, until one matches anything.
func (q query) matchers() []matcher {
	if q.name != "" {
		return []matcher{
			{match: func(e *v1alpha1.ImageVerification) bool { return e.Name == q.name }},
			{match: func(e *v1alpha1.ImageVerification) bool { return sameRepository(e, q.name) }},
		}
	}
	rest := func(e *v1alpha1.ImageVerification) bool {
		return strings.HasPrefix(e.Spec.Digest, q.digest) && (q.tag == "" || slices.Contains(tagNames(e), q.tag))
	}
	if q.repository == "" {
		return []matcher{{match: rest}}
	}
	return []matcher{
		{match: func(e *v1alpha1.ImageVerification) bool { return sameRepository(e, q.repository) && rest(e) }},
		{match: func(e *v1alpha1.ImageVerification) bool { return samePath(e, q.repository) && rest(e) }, otherHost: true},
	}
}

// sameRepository compares as written: by the repository's name, by where it is
// pulled from, and by an ImageStream's name without its namespace.
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

// whatExists ends an error about what was not found.
func whatExists(all []v1alpha1.ImageVerification, namespace string) string {
	if len(all) == 0 {
		if namespace == "" {
			return "there are none at all: nothing was pushed that an ImageTrigger admits"
		}
		return "there are none at all; with -A you look in every namespace"
	}
	tags := map[string][]string{}
	for i := range all {
		name := all[i].Spec.Repository.Name
		for _, t := range tagNames(&all[i]) {
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
		listed = append(listed, fmt.Sprintf("%s (%s)", printable(name), cmp.Or(strings.Join(shown, ", "), "no tags")))
	}
	text := "there are " + strings.Join(listed, "; ")
	if more := len(names) - len(listed); more > 0 {
		text += fmt.Sprintf("; and %d more repositories, which 'kubectl revet get' lists", more)
	}
	return text
}
