package fetch

import (
	"io"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// Decompress is [layers.Decompress].
func Decompress(r io.Reader) (io.ReadCloser, error) { return layers.Decompress(r) }
