package selector

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// clockSlack is the clock difference that Revet tolerates. A push created this long before the
// trigger still counts as newer.
const clockSlack = 2 * time.Minute

// FieldError says which field of an ImageTrigger is wrong, and why.
type FieldError struct {
	// Field is a path such as spec.images[2].repository.
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// Selector is the compiled spec.images of one ImageTrigger.
type Selector struct {
	namespace string
	entries   []entry
	since     time.Time
	existing  bool
}

// entry is a compiled entry of spec.images.
type entry struct {
	streams    *streams
	host       string // in lower case, because host names are compared without case
	repository *glob  // matches the path
	tags       tags
}

type streams struct {
	ownNamespace bool
	namespaces   labels.Selector
	names        []glob
	labels       labels.Selector
}

type tags struct {
	include []glob
	exclude []glob
}

func (t tags) admit(tag string) bool {
	return (len(t.include) == 0 || matchAny(t.include, tag)) && !matchAny(t.exclude, tag)
}

// Compile checks and compiles a trigger's selectors. Its error is a *FieldError; selectors beyond
// the bounds of bounds.go are refused.
func Compile(t *v1alpha1.ImageTrigger) (*Selector, error) {
	if len(t.Spec.Images) == 0 {
		return nil, &FieldError{"spec.images", errors.New("there must be at least one entry")}
	}
	if err := bound(t.Spec.Images); err != nil {
		return nil, err
	}
	s := &Selector{
		namespace: t.Namespace,
		since:     t.CreationTimestamp.Add(-clockSlack),
		existing:  t.Spec.Existing == v1alpha1.ExistingVerify,
	}
	for i := range t.Spec.Images {
		e, err := compileEntry(&t.Spec.Images[i], fmt.Sprintf("spec.images[%d]", i))
		if err != nil {
			return nil, err
		}
		s.entries = append(s.entries, e)
	}
	return s, nil
}

func compileEntry(in *v1alpha1.ImageSelector, field string) (entry, error) {
	var e entry
	var err error
	if (in.ImageStreams == nil) == (in.Repository == "") {
		return e, &FieldError{field, errors.New("set exactly one of imageStreams and repository")}
	}
	if in.ImageStreams != nil {
		if e.streams, err = compileStreams(in.ImageStreams, field+".imageStreams"); err != nil {
			return e, err
		}
	} else if e.host, e.repository, err = compileRepository(in.Repository); err != nil {
		return e, &FieldError{field + ".repository", err}
	}
	if e.tags.include, err = compileGlobs(in.Tags.Include, field+".tags.include", tagPattern); err != nil {
		return e, err
	}
	e.tags.exclude, err = compileGlobs(in.Tags.Exclude, field+".tags.exclude", tagPattern)
	return e, err
}

func compileStreams(in *v1alpha1.ImageStreamSelector, field string) (*streams, error) {
	s := &streams{ownNamespace: in.NamespaceSelector == nil}
	var err error
	if s.namespaces, err = compileLabels(in.NamespaceSelector, field+".namespaceSelector"); err != nil {
		return nil, err
	}
	if s.names, err = compileGlobs(in.Names, field+".names", namePattern); err != nil {
		return nil, err
	}
	s.labels, err = compileLabels(in.Selector, field+".selector")
	return s, err
}

// compileLabels compiles a label selector. A missing selector matches everything.
func compileLabels(in *metav1.LabelSelector, field string) (labels.Selector, error) {
	if in == nil {
		return labels.Everything(), nil
	}
	s, err := metav1.LabelSelectorAsSelector(in)
	if err != nil {
		return nil, &FieldError{field, err}
	}
	return s, nil
}

// compileRepository splits off the host. The host takes no wildcards, because nobody means to write
// a pattern that matches any stranger's host.
func compileRepository(pattern string) (string, *glob, error) {
	host, rest, ok := strings.Cut(pattern, "/")
	if !ok {
		return "", nil, fmt.Errorf("pattern %q has no path; write host/path, for example registry.example.com/team/**", pattern)
	}
	if _, err := image.ParseRepository(host + "/x"); err != nil {
		return "", nil, fmt.Errorf("pattern %q does not begin with a registry host, which takes no wildcards", pattern)
	}
	g, err := newGlob(rest)
	if err != nil {
		return "", nil, err
	}
	return strings.ToLower(host), &g, nil
}

// The kinds of names that a pattern of one segment matches, for its error.
const (
	tagPattern  = "tag"
	namePattern = "ImageStream name"
)

func compileGlobs(patterns []string, field, kind string) ([]glob, error) {
	var globs []glob
	for i, p := range patterns {
		g, err := newGlob(p)
		if err == nil && (len(g.segments) != 1 || strings.Contains(p, anySegments)) {
			err = fmt.Errorf("pattern %q can never match: a %s has no slashes; write * for any characters", p, kind)
		}
		if err != nil {
			return nil, &FieldError{fmt.Sprintf("%s[%d]", field, i), err}
		}
		globs = append(globs, g)
	}
	return globs, nil
}

// Tags decides about the tags of one repository. The zero value admits none.
type Tags struct {
	entries []tags
}

// Empty reports whether no entry admits the repository.
func (t Tags) Empty() bool { return len(t.entries) == 0 }

// Admit reports whether an entry that admits the repository admits the tag.
func (t Tags) Admit(tag string) bool {
	for _, e := range t.entries {
		if e.admit(tag) {
			return true
		}
	}
	return false
}

// Stream returns the admitted tags of an ImageStream. namespaceLabels may be nil for the trigger's
// own namespace if no entry has a namespaceSelector.
func (s *Selector) Stream(namespace string, namespaceLabels map[string]string, name string, streamLabels map[string]string) Tags {
	var t Tags
	for _, e := range s.entries {
		if e.streams != nil && e.streams.match(s.namespace, namespace, namespaceLabels, name, streamLabels) {
			t.entries = append(t.entries, e.tags)
		}
	}
	return t
}

func (m *streams) match(own, namespace string, namespaceLabels map[string]string, name string, streamLabels map[string]string) bool {
	if m.ownNamespace {
		if namespace != own {
			return false
		}
	} else if !m.namespaces.Matches(labels.Set(namespaceLabels)) {
		return false
	}
	return (len(m.names) == 0 || matchAny(m.names, name)) && m.labels.Matches(labels.Set(streamLabels))
}

// Repository returns the admitted tags of a repository in a registry.
func (s *Selector) Repository(r image.Repository) Tags {
	var t Tags
	for _, e := range s.entries {
		if e.repository != nil && e.host == strings.ToLower(r.Host()) && e.repository.match(r.Path()) {
			t.entries = append(t.entries, e.tags)
		}
	}
	return t
}

// MatchesRepository reports whether any tag of a repository may be admitted.
func (s *Selector) MatchesRepository(r image.Repository) bool { return !s.Repository(r).Empty() }

// SelectsStreams reports whether any entry selects ImageStreams, and whether any entry selects them
// in other namespaces than the trigger's.
func (s *Selector) SelectsStreams() (streams, otherNamespaces bool) {
	for _, e := range s.entries {
		if e.streams != nil {
			streams = true
			otherNamespaces = otherNamespaces || !e.streams.ownNamespace
		}
	}
	return streams, otherNamespaces
}

// Namespaces returns the selectors of other namespaces than the trigger's, by a key that equal ones
// share.
func (s *Selector) Namespaces() map[string]labels.Selector {
	all := map[string]labels.Selector{}
	for _, e := range s.entries {
		if e.streams != nil && !e.streams.ownNamespace {
			all[e.streams.namespaces.String()] = e.streams.namespaces
		}
	}
	return all
}

// Hosts returns the registry hosts in the entries, without duplicates.
func (s *Selector) Hosts() []string {
	seen := map[string]bool{}
	var hosts []string
	for _, e := range s.entries {
		if e.repository != nil && !seen[e.host] {
			seen[e.host] = true
			hosts = append(hosts, e.host)
		}
	}
	return hosts
}

// Since returns the time from which pushes count: the trigger's creation, minus the tolerated clock
// difference.
func (s *Selector) Since() time.Time { return s.since }

// AdmitTime reports whether a push of that time counts. With existing: Verify, the head of a tag
// always counts, but older items do not.
func (s *Selector) AdmitTime(pushedAt time.Time, head bool) bool {
	return (head && s.existing) || !pushedAt.Before(s.since)
}

// anySegments matches any number of path segments.
const anySegments = "**"

// glob is one compiled pattern.
type glob struct {
	segments []string
	// literal: there is no wildcard, and whole is the pattern.
	literal bool
	whole   string
}

// newGlob checks a pattern. It refuses [ and \, which are special in path.Match but not here, and
// which no name can contain.
func newGlob(pattern string) (glob, error) {
	if pattern == "" {
		return glob{}, fmt.Errorf("the pattern is empty; write * to match everything")
	}
	if i := strings.IndexAny(pattern, `[]\`); i >= 0 {
		return glob{}, fmt.Errorf("pattern %q has %q at %d; only *, ? and, as a whole path segment, ** are special", pattern, pattern[i], i)
	}
	g := glob{segments: strings.Split(pattern, "/"), literal: !strings.ContainsAny(pattern, "*?"), whole: pattern}
	for _, s := range g.segments {
		if s == "" {
			return glob{}, fmt.Errorf("pattern %q has an empty path segment", pattern)
		}
		if s != anySegments && strings.Contains(s, anySegments) {
			return glob{}, fmt.Errorf("pattern %q has ** beside other characters in %q; ** stands alone between slashes", pattern, s)
		}
	}
	return g, nil
}

// match reports whether the whole of name matches.
func (g glob) match(name string) bool {
	switch {
	case g.literal:
		return g.whole == name
	case len(g.segments) == 1 && g.whole != anySegments:
		return matchSegment(g.whole, name) // * matches no slash
	}
	return matchSegments(g.segments, strings.Split(name, "/"))
}

// matchSegments is the usual algorithm with a single backtracking point, the latest **. An earlier
// ** never has to be tried again.
func matchSegments(pattern, name []string) bool {
	p, n := 0, 0
	star, from := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == anySegments:
			star, from = p, n
			p++
		case p < len(pattern) && matchSegment(pattern[p], name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anySegments {
		p++
	}
	return p == len(pattern)
}

// matchSegment uses path.Match, because its * never matches a slash and its running time is bounded
// in the same way. Its only error, a bad pattern, was ruled out before.
func matchSegment(pattern, segment string) bool {
	ok, err := path.Match(pattern, segment)
	return ok && err == nil
}

// matchAny reports whether any of the globs matches.
func matchAny(globs []glob, name string) bool {
	for _, g := range globs {
		if g.match(name) {
			return true
		}
	}
	return false
}

// Names is a pattern for repositories, under the names in the ledger's entries, or for some of
// their tags.
type Names struct {
	repository glob
	tag        *glob // nil: any tags
}

// ParseNames parses repository or repository:tag, both patterns.
func ParseNames(pattern string) (Names, error) {
	repository, tag := pattern, ""
	if i := strings.LastIndexByte(pattern, ':'); i > strings.LastIndexByte(pattern, '/') {
		repository, tag = pattern[:i], pattern[i+1:]
		if tag == "" {
			return Names{}, fmt.Errorf("pattern %q ends with a colon; write a tag after it, or leave it out", pattern)
		}
	}
	var n Names
	var err error
	if n.repository, err = newGlob(repository); err != nil || tag == "" {
		return n, err
	}
	t, err := newGlob(tag)
	if err == nil && (len(t.segments) != 1 || tag == anySegments) {
		err = fmt.Errorf("pattern %q can never match: a tag has no slashes; write * for any characters", tag)
	}
	n.tag = &t
	return n, err
}

// Match reports whether the repository matches and, if the pattern has a tag, whether all tags
// match.
func (n Names) Match(repository string, tags []string) bool {
	if !n.repository.match(repository) {
		return false
	}
	if n.tag == nil {
		return true
	}
	for _, t := range tags {
		if !n.tag.match(t) {
			return false
		}
	}
	return len(tags) > 0
}
