package image

import "unicode/utf8"

// maxLabel is how many bytes of a label's value are carried.
const maxLabel = 1024

// CarryLabels returns those of labels that names lists, each value cut to 1 KB
// at a character: labels are their pusher's words, and an entry is small. It
// returns nil if there are none.
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

// Cut returns at most the first n bytes of s, without splitting a character,
// and with what is not UTF-8 replaced, as the API server takes UTF-8 only.
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
