//go:build linux && bench

package bench

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// setting is the number in an environment variable.
func setting(b *testing.B, name string, otherwise, atLeast int) int {
	b.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < atLeast {
		b.Fatalf("%s is %q, which is no number of at least %d", name, s, atLeast)
	}
	return n
}

// sizes are the numbers in an environment variable, which a comma separates.
func sizes(b *testing.B, name string, otherwise ...int) []int {
	b.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	var all []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			b.Fatalf("%s is %q, which is no list of positive numbers", name, s)
		}
		all = append(all, n)
	}
	return all
}
