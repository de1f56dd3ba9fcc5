package lease

import (
	"strings"
	"testing"
	"time"

	kle "knative.dev/pkg/leaderelection"
)

// Times under which nobody leads, or a leader can send nothing, are refused, and
// the message says which one to change.
func TestTimesOfLeaderElection(t *testing.T) {
	for _, test := range []struct {
		name                   string
		lease, deadline, retry time.Duration
		want                   string
	}{
		{"the defaults", defaultLeaseDuration, RenewDeadline, defaultRetryPeriod, ""},
		{"short ones", 6 * time.Second, 4 * time.Second, 500 * time.Millisecond, ""},
		{"a lease too short for a request", 5 * time.Second, 4 * time.Second, 500 * time.Millisecond, "lease-duration is 5s; with a retry-period of 500ms it must be at least 5.2s"},
		{"a lease that is cut to whole seconds", 5900 * time.Millisecond, 4 * time.Second, 500 * time.Millisecond, "lease-duration is 5.9s"},
		{"a lease that is renewed too rarely", 15 * time.Second, 12 * time.Second, 5 * time.Second, "it must be at least 16s"},
		{"a lease that ends before its holder notices", 10 * time.Second, 10 * time.Second, 2 * time.Second, "it must be more than renew-deadline"},
		{"a deadline within one retry", 15 * time.Second, 2 * time.Second, 2 * time.Second, "renew-deadline is 2s"},
		{"no retry", 15 * time.Second, 10 * time.Second, 0, "retry-period is 0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := New("me", use).validate(&kle.Config{Buckets: 1, LeaseDuration: test.lease, RenewDeadline: test.deadline, RetryPeriod: test.retry})
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
