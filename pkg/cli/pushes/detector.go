package pushes

import (
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// change is one change of an object, as an input shows it.
type change struct {
	observation openshift.Observation
	// image is set for an Image.
	image *imagev1.Image
}

// detector carries what inputs showed from one to the next.
type detector struct {
	memory push.Memory
	images map[string]*imagev1.Image
}

// detect finds the pushes in what one input shows. The Images are read first:
// the order between the two resources has no meaning.
func (d *detector) detect(changes []change) push.Result {
	for _, c := range changes {
		if c.image == nil {
			continue
		}
		if d.images == nil {
			d.images = map[string]*imagev1.Image{}
		}
		// What a digest names does not change, so a deleted Image still tells.
		d.images[c.image.Name] = c.image
	}
	var all push.Result
	for _, c := range changes {
		s := c.observation.Stream
		if s == nil {
			continue
		}
		if c.observation.Verb == openshift.Delete {
			d.memory.Forget(s.Repository)
			continue
		}
		r := push.Detect(*s, &d.memory, d)
		d.memory.Remember(*s)
		all.Pushes = append(all.Pushes, r.Pushes...)
		all.Skips = append(all.Skips, r.Skips...)
	}
	return all
}

// Runnable goes by the Images that inputs showed. These are only what somebody wrote:
// it decides on what is printed here, and nothing else.
func (d *detector) Runnable(digest image.Digest) bool {
	img, ok := d.images[digest.String()]
	return !ok || openshift.Runs(img)
}
