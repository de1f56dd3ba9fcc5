package image_test

import (
	"math"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
)

func TestAddSizeNeverWrapsRound(t *testing.T) {
	for _, test := range []struct {
		name               string
		sum, claimed, want int64
	}{
		{"two sizes", 3, 4, 7},
		{"a negative size counts as none", 3, -4, 3},
		{"the largest that fits", math.MaxInt64 - 1, 1, math.MaxInt64},
		{"more than fits", math.MaxInt64 - 1, 2, math.MaxInt64},
		{"far more than fits", math.MaxInt64, math.MaxInt64, math.MaxInt64},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := image.AddSize(test.sum, test.claimed); got != test.want {
				t.Errorf("AddSize(%d, %d) is %d, want %d", test.sum, test.claimed, got, test.want)
			}
		})
	}
}
