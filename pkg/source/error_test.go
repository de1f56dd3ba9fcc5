package source

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Callers wrap errors to say what they were doing. That must not turn a refusal into an
// error that may pass, nor the other way round.
func TestReasonOfAnError(t *testing.T) {
	cause := errors.New("401")
	for _, test := range []struct {
		name string
		err  error
		want Reason
	}{
		{"no error", nil, ""},
		{"a refusal", &Refusal{Reason: Denied, Err: cause}, Denied},
		{"a wrapped refusal", fmt.Errorf("listing: %w", &Refusal{Reason: NotFound, Err: cause}), NotFound},
		{"a refusal among others", errors.Join(cause, &Refusal{Reason: Untrusted, Err: cause}), Untrusted},
		{"a request for patience", &RetryAfterError{Host: "registry.example.com", Until: time.Now(), Err: cause}, ""},
		{"any other error", cause, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ReasonOf(test.err); got != test.want {
				t.Errorf("reason %q, want %q", got, test.want)
			}
		})
	}
}

func TestRetryAfterIsReadInBothFormsAndBounded(t *testing.T) {
	type answer struct {
		after time.Duration
		ok    bool
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]answer{
		"":                              {0, false},
		"soon":                          {0, false},
		"1.5":                           {0, false},
		"7":                             {7 * time.Second, true},
		" 7 ":                           {7 * time.Second, true},
		"0":                             {0, true},
		"-3":                            {0, true},
		"301":                           {5 * time.Minute, true},
		"9300000000":                    {5 * time.Minute, true}, // overflows as a Duration
		"99999999999999999999":          {5 * time.Minute, true}, // overflows as an int64
		"Sat, 21 Nov 2026 12:00:30 GMT": {30 * time.Second, true},
		"Sat, 21 Nov 2026 11:00:00 GMT": {0, true},
		"Fri, 31 Dec 9999 23:59:59 GMT": {5 * time.Minute, true},
	} {
		after, ok := RetryAfter(header, now, 5*time.Minute)
		if got := (answer{after, ok}); got != want {
			t.Errorf("Retry-After %q reads as %v, want %v", header, got, want)
		}
	}
}
