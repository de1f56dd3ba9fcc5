package image

import "math"

// AddSize adds a claimed size to sum. On overflow it returns the largest number; a sum that wrapped
// around would make a huge image look small to filters and rules. A negative size counts as zero.
func AddSize(sum, claimed int64) int64 {
	claimed = max(claimed, 0)
	if claimed > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + claimed
}
