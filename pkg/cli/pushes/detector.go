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

// detector remembers what the inputs showed.
type detector struct {
	memory push.Memory
	images map[string]*imagev1.Image
}

// detect finds the pushes in one input. It reads the Images first, since the order of
// Images and ImageStreams means nothing.
func (d *detector) detect(changes []change) push.Result {
	for _, c := range changes {
		if c.image == nil {
			continue
		}
		if d.images == nil {
			d.images = map[string]*imagev1.Image{}
		}
		// The content of a digest never changes, so a deleted Image counts too.
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

// Runnable trusts the Images of the inputs, which anybody may have written. It decides
// only what this command prints.
func (d *detector) Runnable(digest image.Digest) bool {
	img, ok := d.images[digest.String()]
	return !ok || openshift.Runs(img)
}
