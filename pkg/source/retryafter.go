package source

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter reads the value of a Retry-After header, which is either a number of
// seconds or a date. The result lies between 0 and longest, whatever the header
// says. It returns false if the header holds neither.
func RetryAfter(header string, now time.Time, longest time.Duration) (time.Duration, bool) {
	header = strings.TrimSpace(header)
	seconds, err := strconv.ParseInt(header, 10, 64)
	if err == nil {
		// Compared as seconds: as a Duration, a large number would overflow.
		return time.Duration(min(max(seconds, 0), int64(longest/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longest), true
	}
	if header != "" && strings.Trim(header, "0123456789") == "" {
		return longest, true // more seconds than an int64 holds
	}
	return 0, false
}
