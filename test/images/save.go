package images

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	revet "github.com/revet-dev/revet/pkg/image"
)

// Save builds s and writes it to dir as an OCI layout of one image or index,
// which clients such as crane and skopeo push. It returns the digest.
func Save(dir string, s Sample, o Options) (revet.Digest, error) {
	a, err := s.build(o)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("build sample %q: %w", s.Name, err)
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("begin the layout of sample %q: %w", s.Name, err)
	}
	switch what := a.what.(type) {
	case v1.ImageIndex:
		err = path.AppendIndex(what)
	case v1.Image:
		err = path.AppendImage(what)
	default:
		err = fmt.Errorf("%T is neither an image nor an index", what)
	}
	if err != nil {
		return revet.Digest{}, fmt.Errorf("save sample %q: %w", s.Name, err)
	}
	h, err := digestOf(a.what)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("save sample %q: %w", s.Name, err)
	}
	return revet.ParseDigest(h.String())
}
