package imageapi

import (
	"slices"
	"sort"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Head returns the newest item of a tag, or nil.
func Head(stream *imagev1.ImageStream, tag string) *imagev1.TagEvent {
	for i := range stream.Status.Tags {
		if t := &stream.Status.Tags[i]; t.Tag == tag && len(t.Items) > 0 {
			return &t.Items[0]
		}
	}
	return nil
}

// AddTagEvent makes item the head of a tag and says whether the stream changed. An item for the image
// that the tag shows already is no new head: it only brings the head's generation and reference up to
// date. An item with the head's reference and another image is no new head either: it changes the
// head's image in place, and the head keeps its time.
func AddTagEvent(stream *imagev1.ImageStream, tag string, item imagev1.TagEvent) bool {
	if head := Head(stream, tag); head != nil &&
		(head.Image == item.Image || head.DockerImageReference != "" && head.DockerImageReference == item.DockerImageReference) {
		item.Created = head.Created
		changed := *head != item
		*head = item
		return changed
	}
	i := sort.Search(len(stream.Status.Tags), func(i int) bool { return stream.Status.Tags[i].Tag >= tag })
	if i == len(stream.Status.Tags) || stream.Status.Tags[i].Tag != tag {
		stream.Status.Tags = slices.Insert(stream.Status.Tags, i, imagev1.NamedTagEventList{Tag: tag})
	}
	stream.Status.Tags[i].Items = slices.Insert(stream.Status.Tags[i].Items, 0, item)
	stream.Status.Tags[i].Conditions = nil
	return true
}

// MoveFollowers makes item the head of every tag that follows the given tag in the same stream, and says whether the
// stream changed.
func MoveFollowers(stream *imagev1.ImageStream, tag string, item imagev1.TagEvent) bool {
	changed := false
	for _, follower := range stream.Spec.Tags {
		if source, own := sourceTag(stream, follower); own && source == tag && follower.Name != tag {
			changed = AddTagEvent(stream, follower.Name, item) || changed
		}
	}
	return changed
}

// RemoveTag takes a tag out of spec and status, and says whether it was there.
func RemoveTag(stream *imagev1.ImageStream, tag string) bool {
	before := len(stream.Spec.Tags) + len(stream.Status.Tags)
	stream.Spec.Tags = slices.DeleteFunc(stream.Spec.Tags, func(t imagev1.TagReference) bool { return t.Name == tag })
	stream.Status.Tags = slices.DeleteFunc(stream.Status.Tags, func(t imagev1.NamedTagEventList) bool { return t.Tag == tag })
	return len(stream.Spec.Tags)+len(stream.Status.Tags) < before
}

// sourceTag is the tag that a spec tag follows, and whether that is one of the stream itself.
func sourceTag(stream *imagev1.ImageStream, t imagev1.TagReference) (tag string, own bool) {
	if t.From == nil || t.From.Kind != fromTag {
		return "", false
	}
	namespace, name, tag := streamTag(stream, t)
	return tag, namespace == stream.Namespace && name == stream.Name
}

// streamTag splits the name of an ImageStreamTag: "tag" means one of the stream itself, "stream:tag" of any.
func streamTag(stream *imagev1.ImageStream, t imagev1.TagReference) (namespace, name, tag string) {
	namespace = t.From.Namespace
	if namespace == "" {
		namespace = stream.Namespace
	}
	name, tag, qualified := strings.Cut(t.From.Name, ":")
	if !qualified {
		return namespace, stream.Name, t.From.Name
	}
	if name == "" {
		name = stream.Name
	}
	return namespace, name, tag
}

// otherStreams looks a stream up for a tag that was taken from it.
type otherStreams func(namespace, name string) *imagev1.ImageStream

// resolver fills in what follows from spec.tags.
type resolver struct {
	hosts Hosts
	now   metav1.Time
	other otherStreams
}

// resolve works on the spec tags that are new or changed against old, which is nil for a new stream.
func (r resolver) resolve(stream, old *imagev1.ImageStream) {
	for i := range stream.Spec.Tags {
		t := &stream.Spec.Tags[i]
		if previous := specTag(old, t.Name); previous != nil && sameSource(*previous, *t) {
			continue
		}
		generation := stream.Generation
		t.Generation = &generation
		if item, ok := r.item(stream, *t); ok {
			AddTagEvent(stream, t.Name, item)
		}
	}
}

// item is the head that a spec tag gives its tag. A source that does not exist yet gives none.
func (r resolver) item(stream *imagev1.ImageStream, t imagev1.TagReference) (imagev1.TagEvent, bool) {
	none := imagev1.TagEvent{}
	switch {
	case t.From == nil:
		return none, false
	case t.From.Kind == fromImage:
		return r.pin(stream, t)
	case t.From.Kind == fromDocker && t.Reference:
		return imagev1.TagEvent{Created: r.now, DockerImageReference: t.From.Name, Generation: stream.Generation}, true
	case t.From.Kind == fromTag:
		return r.follow(stream, t)
	default: // DockerImage without reference is an import, which nothing here performs.
		return none, false
	}
}

// pin gives a tag an image from the history of a stream. Its time is the present one, so that "oc tag"
// counts as a push; only an alias copies the time of what it follows.
func (r resolver) pin(stream *imagev1.ImageStream, t imagev1.TagReference) (imagev1.TagEvent, bool) {
	namespace, name, id, ok := streamImage(stream, t)
	if !ok {
		return imagev1.TagEvent{}, false
	}
	source := stream
	if namespace != stream.Namespace || name != stream.Name {
		source = r.other(namespace, name)
	}
	if source == nil {
		return imagev1.TagEvent{}, false
	}
	found, err := findImage(source, id)
	if err != nil {
		return imagev1.TagEvent{}, false // checkSources refuses the write
	}
	return imagev1.TagEvent{
		Created: r.now, Image: found.Image, Generation: stream.Generation, DockerImageReference: r.hosts.reference(stream, found.Image),
	}, true
}

func (r resolver) follow(stream *imagev1.ImageStream, t imagev1.TagReference) (imagev1.TagEvent, bool) {
	namespace, name, tag := streamTag(stream, t)
	source := stream
	own := namespace == stream.Namespace && name == stream.Name
	if !own {
		source = r.other(namespace, name)
	}
	if source == nil || own && tag == t.Name {
		return imagev1.TagEvent{}, false
	}
	head := Head(source, tag)
	if head == nil {
		return imagev1.TagEvent{}, false
	}
	if own {
		// The real server does this; it is why an item's generation says nothing about pushes.
		head.Generation = stream.Generation
	}
	item := *head
	item.Generation = stream.Generation
	item.DockerImageReference = r.hosts.reference(stream, item.Image)
	return item, true
}

func specTag(stream *imagev1.ImageStream, name string) *imagev1.TagReference {
	if stream == nil {
		return nil
	}
	for i := range stream.Spec.Tags {
		if stream.Spec.Tags[i].Name == name {
			return &stream.Spec.Tags[i]
		}
	}
	return nil
}

func sameSource(a, b imagev1.TagReference) bool {
	if a.From == nil || b.From == nil {
		return a.From == b.From
	}
	return *a.From == *b.From && a.Reference == b.Reference
}
