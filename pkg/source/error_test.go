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
