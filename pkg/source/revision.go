package source

import (
	"regexp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// revisionName is the label, and the annotation, that names the revision of the source that an
// image was built from.
const revisionName = "org.opencontainers.image.revision"

// revisionPattern holds for every revision that is recorded. Whoever builds an image chooses
// the text, and it goes into events, names of objects and templates: it has neither quotes nor
// spaces nor slashes, and begins like no option.
var revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// ValidRevision reports whether an entry may hold the text as a claimed revision.
func ValidRevision(s string) bool { return revisionPattern.MatchString(s) }

// Revisions adds up what is claimed of the revision that an image was built from. Claims that
// contradict one another claim nothing. The zero value is that nobody claims anything.
type Revisions struct {
	// one is what was claimed first.
	one                       string
	silent, differ, malformed bool
}

// AddChild adds what a child of an index claims. Platform is what the index says of the child;
// it may be nil. A child that no host can run is no part of what runs.
func (r *Revisions) AddChild(platform *image.Platform, child v1alpha1.ImageFacts) {
	switch {
	case platform.NoHost():
	case child.RevisionIgnored == v1alpha1.RevisionMalformed:
		r.malformed = true
	case child.RevisionIgnored != "":
		r.differ = true
	case child.ClaimedRevision == "":
		r.silent = true
	default:
		r.claim(child.ClaimedRevision)
	}
}

func (r *Revisions) claim(text string) {
	switch {
	case text == "":
	case !ValidRevision(text):
		r.malformed = true
	case r.one == "":
		r.one = text
	case r.one != text:
		r.differ = true
	}
}

// SetIndex sets the revision of an index whose children were added. Those that claim nothing
// are spoken for by the annotation of the index, if it has one.
func (r Revisions) SetIndex(f *v1alpha1.ImageFacts, annotations map[string]string) {
	r.claim(annotations[revisionName])
	if annotations[revisionName] == "" && r.silent && r.one != "" {
		r.differ = true
	}
	r.set(f)
}

// SetRevision sets the revision of a single image from the annotations of its manifest and the
// labels of its configuration.
func SetRevision(f *v1alpha1.ImageFacts, annotations, labels map[string]string) {
	var r Revisions
	r.claim(annotations[revisionName])
	r.claim(labels[revisionName])
	r.set(f)
}

func (r *Revisions) set(f *v1alpha1.ImageFacts) {
	f.ClaimedRevision, f.RevisionIgnored = "", ""
	switch {
	case r.malformed:
		f.RevisionIgnored = v1alpha1.RevisionMalformed
	case r.differ:
		f.RevisionIgnored = v1alpha1.RevisionDiffers
	default:
		f.ClaimedRevision = r.one
	}
}
