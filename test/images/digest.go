package images

import (
	"fmt"

	revet "github.com/revet-dev/revet/pkg/image"
)

// Digest returns the digest that Push will push for the same arguments, for
// whoever wants to know it before.
func Digest(s Sample, o Options) (revet.Digest, error) {
	a, err := s.build(o)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("build sample %q: %w", s.Name, err)
	}
	h, err := digestOf(a.what)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("sample %q: %w", s.Name, err)
	}
	return revet.ParseDigest(h.String())
}
