package openshift

import (
	"strings"
	"time"

	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// Stream converts an ImageStream that was read from the API server, just as Decode converts an
// event's body.
func Stream(is *imagev1.ImageStream) push.Stream {
	var o object
	o.name, o.namespace, o.uid = is.Name, is.Namespace, string(is.UID)
	o.repository, o.public = is.Status.DockerImageRepository, is.Status.PublicDockerImageRepository
	for _, t := range is.Spec.Tags {
		o.policies = append(o.policies, tagPolicy{t.Name, string(t.ReferencePolicy.Type)})
	}
	for _, t := range is.Status.Tags {
		s := statusTag{name: t.Tag, items: make([]tagItem, 0, len(t.Items))}
		for _, item := range t.Items {
			i := tagItem{reference: item.DockerImageReference, image: item.Image}
			if !item.Created.IsZero() {
				i.created = item.Created.UTC().Format(time.RFC3339)
			}
			s.items = append(s.items, i)
		}
		o.tags = append(o.tags, s)
	}
	return o.stream()
}

func (o *object) stream() push.Stream {
	s := push.Stream{Repository: push.Repository{
		Kind: push.ImageStream,
		Name: o.namespace + "/" + o.name,
		UID:  o.uid,
	}}
	// Revet finds the pushes of a stream that names no repository, or one that cannot be
	// parsed: the items name their own.
	s.Pull, _ = image.ParseRepository(o.repository)
	if !s.Pull.IsZero() {
		s.Names = append(s.Names, s.Pull)
	}
	if public, err := image.ParseRepository(o.public); err == nil {
		s.Names = append(s.Names, public)
	}
	if len(o.tags) == 0 {
		return s
	}
	s.Tags = make([]push.Tag, 0, len(o.tags))
	for _, t := range o.tags {
		local := o.localPolicy(t.name)
		tag := push.Tag{ClaimedName: t.name, Items: make([]push.Item, 0, len(t.items))}
		for _, i := range t.items {
			tag.Items = append(tag.Items, i.item(o.repository, local))
		}
		s.Tags = append(s.Tags, tag)
	}
	return s
}

func (i *tagItem) item(repository string, local bool) push.Item {
	item := push.Item{ClaimedDigest: i.image}
	// Detect skips an item whose time cannot be read, which is zero, and says so.
	item.Created, _ = time.Parse(time.RFC3339, i.created)
	// An imported or aliased image is in another registry, unless the tag says that the
	// stream's own registry serves it. The prefix is the usual case, an image that was
	// pushed here, and needs no parser.
	own, ok := strings.CutPrefix(i.reference, repository)
	if local || (ok && strings.HasPrefix(own, "@")) {
		return item
	}
	if ref, err := image.ParseReference(i.reference); err == nil && ref.Digest().String() == i.image {
		item.Pull = ref.Repository()
	}
	return item
}

func (o *object) localPolicy(tag string) bool {
	for _, p := range o.policies {
		if p.tag == tag {
			return p.policy == string(imagev1.LocalTagReferencePolicy)
		}
	}
	return false
}
