package fetch

import "io"

// Decompress unpacks a layer as Fetch does, with bounded memory: by its bytes and
// not by its media type. How much comes out is for the caller to bound.
func Decompress(r io.Reader) (io.ReadCloser, error) { return decompress(r) }
