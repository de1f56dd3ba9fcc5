package image

import (
	"math"
	"unicode/utf8"
)

// maxLabel bounds a label's value in bytes.
const maxLabel = 1024

// CarryLabels returns the labels that names lists. It cuts each value to 1 KB at a character
// boundary, because the pusher chooses labels and an entry is small. It returns nil if no label is
// left.
func CarryLabels(labels map[string]string, names []string) map[string]string {
	var carried map[string]string
	for _, name := range names {
		value, ok := labels[name]
		if !ok {
			continue
		}
		if carried == nil {
			carried = map[string]string{}
		}
		carried[name] = Cut(value, maxLabel)
	}
	return carried
}

// Cut returns at most the first n bytes of s. It does not split characters. It replaces invalid
// UTF-8, which the API server would refuse.
func Cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	if utf8.ValidString(s) {
		return s
	}
	valid := make([]rune, 0, len(s))
	for _, r := range s {
		if r != utf8.RuneError {
			valid = append(valid, r)
		}
	}
	return string(valid)
}

// AddSize adds a claimed size to sum. On overflow it returns the largest number; a sum that wrapped
// around would make a huge image look small to filters and rules. A negative size counts as zero.
func AddSize(sum, claimed int64) int64 {
	claimed = max(claimed, 0)
	if claimed > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + claimed
}
