package openshift

import (
	"runtime"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// Anybody may send an event. What it takes to decode it is bounded by its size: an element of two
// bytes takes a hundred once it is decoded.
func TestDecodingTakesAFewTimesTheBody(t *testing.T) {
	const size = 1 << 20
	full := func(element string) string {
		return strings.TrimSuffix(strings.Repeat(element+",", size/(len(element)+1)), ",")
	}
	item := `{"created":"2026-11-21T12:00:00Z","dockerImageReference":"registry.example.com/demo/app@sha256:` + strings.Repeat("0", 64) +
		`","image":"sha256:` + strings.Repeat("0", 64) + `","generation":1}`
	for _, test := range []struct {
		name   string
		fields string
		fine   bool
	}{
		{"items as they are", `"status":{"tags":[{"tag":"v1","items":[` + full(item) + `]}]}`, true},
		{"tags as they are", `"spec":{"tags":[` + full(`{"name":"v1","annotations":null,"importPolicy":{},"referencePolicy":{"type":"Source"}}`) + `]}`, true},
		{"empty items", `"status":{"tags":[{"tag":"v1","items":[` + full(`{}`) + `]}]}`, false},
		{"empty tags", `"status":{"tags":[` + full(`{}`) + `]}`, false},
		{"empty policies", `"spec":{"tags":[` + full(`{}`) + `]}`, false},
		{"nothing at all", `"status":{"tags":[` + full(`null`) + `]}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := cloudevents.New()
			e.SetType("dev.knative.apiserver.resource.update")
			e.DataEncoded = []byte(`{"apiVersion":"image.openshift.io/v1","kind":"ImageStream","metadata":{"namespace":"demo","name":"app","uid":"u1"},` + test.fields + `}`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			obs, err := Decode(&e)
			runtime.ReadMemStats(&after)
			if (err == nil) != test.fine {
				t.Errorf("error %v; want one: %t", err, !test.fine)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 4*size {
				t.Errorf("an event of %d KiB took %d KiB", size>>10, took>>10)
			}
			runtime.KeepAlive(obs)
		})
	}
}

// What an event claims is compared with the ledger for each trigger. One that claims more than an
// API server stores is read again instead, as one in Reference mode is.
func TestALargeClaimIsReadAgain(t *testing.T) {
	item := `{"created":"2026-11-21T12:00:00Z","image":"sha256:` + strings.Repeat("0", 64) + `"}`
	for items, mode := range map[int]Mode{maxClaimed - 1: Resource, maxClaimed: Reference} {
		e := cloudevents.New()
		e.SetType("dev.knative.apiserver.resource.update")
		e.DataEncoded = []byte(`{"apiVersion":"image.openshift.io/v1","kind":"ImageStream","metadata":{"namespace":"demo","name":"app","uid":"u1"},` +
			`"status":{"tags":[{"tag":"v1","items":[` + strings.TrimSuffix(strings.Repeat(item+",", items), ",") + `]}]}}`)
		obs, err := Decode(&e)
		if err != nil || obs.Mode != mode || (obs.Stream != nil) != (mode == Resource) || obs.Object.Name != "app" {
			t.Errorf("%d items: mode %s, error %v; want %s", items, obs.Mode, err, mode)
		}
	}
}
