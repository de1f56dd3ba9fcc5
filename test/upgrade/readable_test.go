package upgrade_test

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/test/upgrade"
)

// Property: a field, an enum value or a length that c8ff37c does not know is found.
func TestWhatAnotherVersionCannotReadIsFound(t *testing.T) {
	const key = "/registry/revet.dev/imageverifications/upgrade/app"
	const head = `{"apiVersion":"revet.dev/v1alpha1","kind":"ImageVerification","metadata":{"name":"app","namespace":"upgrade"},` +
		`"spec":{"trigger":{"name":"t","uid":"u"},"repository":{"kind":"ImageStream","name":"upgrade/app","pull":"r/a"},` +
		`"digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000",` +
		`"firstPush":{"tag":"v1","pushedAt":"2026-01-01T00:00:00Z","observedAt":"2026-01-01T00:00:00.000000Z","source":"event"}},"status":`
	for name, row := range map[string]struct{ status, want string }{
		"what it knows":              {`{"phase":"Passed"}`, ""},
		"a new field":                {`{"phase":"Passed","mood":"good"}`, "unknown field status.mood"},
		"a new field of a run":       {`{"runs":[{"number":1,"name":"r","cause":{"type":"Push"},"requestedAt":"2026-01-01T00:00:00.000000Z","mood":1}]}`, "unknown field status.runs[0].mood"},
		"a new phase":                {`{"phase":"Waiting"}`, "status.phase: Unsupported value"},
		"a message that is too long": {`{"message":"` + strings.Repeat("x", 1025) + `"}`, "status.message: Too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := upgrade.Unreadable("testdata/c8ff37c-crds", []upgrade.Pair{{Key: key, JSON: []byte(head + row.status + "}")}})
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(got, "\n")
			if row.want == "" && text != "" || !strings.Contains(text, row.want) {
				t.Errorf("got %q, want %q", text, row.want)
			}
		})
	}
}
