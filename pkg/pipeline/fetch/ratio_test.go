package fetch_test

import (
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// What is packed tightly and unpacks to little is no bomb, and the ratio is the
// user's to choose.
func TestFetchAllowsWhatIsNoBomb(t *testing.T) {
	for name, tt := range map[string]struct {
		size  int
		ratio int64
	}{
		"a small layer of zeros":           {8 << 20, 0},
		"a large one, as the user allowed": {65 << 20, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			zeros := make([]byte, tt.size)
			s := newServer(t)
			set := setting{limits: fetch.Limits{Bytes: 1 << 20, Unpacked: 1 << 40, Ratio: tt.ratio}}
			if _, _, err := s.pull(t, s.push(t, imageOf(t, "amd64", newRawLayer(gzipOf(t, zeros), zeros))), set); err != nil {
				t.Error(err)
			}
		})
	}
}

// What each layer may unpack to beyond the ratio, all of them together may not: a
// layer that is named many times is unpacked many times.
func TestFetchBoundsManyBombs(t *testing.T) {
	zeros := make([]byte, 60<<20)
	layer := newRawLayer(gzipOf(t, zeros), zeros)
	s := newServer(t)
	set := setting{limits: fetch.Limits{Bytes: 1 << 20, Unpacked: 1 << 40}}
	_, _, err := s.pull(t, s.push(t, imageOf(t, "amd64", slices.Repeat([]v1.Layer{layer}, 10)...)), set)
	wantError(t, err, oci.ReasonTooLarge, "as decompression bombs do")
}
