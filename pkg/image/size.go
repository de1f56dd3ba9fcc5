package image

import "math"

// AddSize adds a size that somebody claims. A sum that cannot be held stays at
// the largest number: one that wrapped round would make a huge image a small
// one, for filters and for rules. A negative size counts as none.
func AddSize(sum, claimed int64) int64 {
	claimed = max(claimed, 0)
	if claimed > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + claimed
}
