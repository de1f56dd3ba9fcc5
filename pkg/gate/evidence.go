package gate

import (
	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// EvidenceBy returns what an entry says of its own digest. Whoever knows the triggers adds
// whether the entry's is an earlier one.
func EvidenceBy(e *v1alpha1.ImageVerification) Evidence {
	return Evidence{
		Namespace: e.Namespace, Trigger: e.Spec.Trigger.Name, Entry: e.Name,
		Phase: e.Phase(), Verdict: e.Status.Verdict, Index: maybeIndex(e),
	}
}

// ChildrenOf returns the images in an entry's index. Only what was read from the index's own
// bytes counts, which spec.image is not.
func ChildrenOf(e *v1alpha1.ImageVerification) []v1alpha1.ChildImage {
	if e.Status.Image == nil {
		return nil
	}
	return e.Status.Image.Children
}

// EvidenceOf returns what an entry says of a digest: as its own, and as that of an image in
// its index. current is the UID of the trigger that has the name of the entry's trigger now,
// or "" if there is none.
func EvidenceOf(e *v1alpha1.ImageVerification, digest image.Digest, current string) []Evidence {
	of := EvidenceBy(e)
	of.Earlier = current != e.Spec.Trigger.UID
	var all []Evidence
	if e.Spec.Digest == digest.String() {
		all = append(all, of)
	}
	children := ChildrenOf(e)
	for i := range children {
		if child := &children[i]; child.Digest == digest.String() {
			of.Child = child
			all = append(all, of)
		}
	}
	return all
}

// singleImages are the media types of manifests that are no index.
var singleImages = map[string]bool{
	"application/vnd.oci.image.manifest.v1+json":           true,
	"application/vnd.docker.distribution.manifest.v2+json": true,
}

// maybeIndex reports whether the entry's digest is that of an index, or may be.
func maybeIndex(e *v1alpha1.ImageVerification) bool {
	for _, facts := range []*v1alpha1.ImageFacts{e.Status.Image, e.Spec.Image} {
		if facts != nil && facts.MediaType != "" {
			return !singleImages[facts.MediaType]
		}
	}
	return true
}
