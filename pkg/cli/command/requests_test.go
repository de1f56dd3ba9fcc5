package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// The last ten requests are kept; one that has no run yet is never pushed out.
func TestRequestsThatAreKept(t *testing.T) {
	ids := func(from, to int) []string {
		var all []string
		for i := from; i <= to; i++ {
			all = append(all, fmt.Sprint(i))
		}
		return all
	}
	for _, test := range []struct {
		name              string
		requests, handled []string
		want              []string
		refused           bool
	}{
		{"the first", nil, nil, []string{"new"}, false},
		{"the eleventh", ids(1, 10), ids(1, 10), append(ids(2, 10), "new"), false},
		{"the eleventh, with the oldest still waiting", ids(1, 10), ids(2, 10), append(append(ids(1, 1), ids(3, 10)...), "new"), false},
		{"while ten wait", ids(1, 10), nil, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &v1alpha1.ImageVerification{Spec: v1alpha1.ImageVerificationSpec{Requests: test.requests},
				Status: v1alpha1.ImageVerificationStatus{HandledRequests: test.handled}}
			got, err := command.WithRequest(e, "new")
			if (err != nil) != test.refused {
				t.Errorf("refused: %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.requests, e.Spec.Requests); diff != "" {
				t.Errorf("the entry changed (-want +got):\n%s", diff)
			}
		})
	}
}

// An id is readable, unique and no longer than the API takes.
func TestRequestID(t *testing.T) {
	for user, want := range map[string]string{
		"jane":                               "jane",
		"":                                   "somebody",
		"jane@example.com":                   "jane-example.com",
		"system:serviceaccount:ci:runner":    "system-serviceaccount-ci-runner",
		"admin/api-x:6443\x1b[2J":            "admin-api-x-6443--2J",
		strings.Repeat("long-", 30) + "name": "ng-long-long-long-long-long-name",
	} {
		got := command.ReadableUser(user)
		if got != want {
			t.Errorf("user %q is %q in an id, want %q", user, got, want)
		}
		if id := command.RequestID(got, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), command.RandomSuffix()); len(id) > 63 {
			t.Errorf("id %q has %d characters", id, len(id))
		}
	}
	if a, b := command.RandomSuffix(), command.RandomSuffix(); a == b || len(a) != 6 {
		t.Errorf("suffixes %q and %q", a, b)
	}
}
