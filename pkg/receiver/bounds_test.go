package receiver

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// Anybody may send an event. What it takes to read one is bounded by its size.
func TestReadingAnEventTakesAFewTimesItsBody(t *testing.T) {
	const size = 1 << 20
	full := func(element string) string {
		return strings.TrimSuffix(strings.Repeat(element+",", size/(len(element)+1)), ",")
	}
	event := func(with string) string {
		return `{"specversion":"1.0","id":"1","source":"s","type":"dev.knative.apiserver.resource.update",` + with +
			`"data":{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"x","namespace":"y","uid":"z"}}}`
	}
	var many strings.Builder
	for n := range size / 16 {
		fmt.Fprintf(&many, `"a%d":"",`, n)
	}
	for _, test := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"an event as it is", structuredType, event(`"apiversion":"image.openshift.io/v1","kind":"ImageStream",`), 202},
		{"with much data", structuredType, event(`"data":{"status":[` + full("{}") + `]},`), 400},
		{"with many attributes", structuredType, event(many.String()), 400},
		{"with an attribute that is a list", structuredType, event(`"a":[` + full("{}") + `],`), 400},
		{"with a long attribute", structuredType, event(`"a":"` + strings.Repeat("x", size) + `",`), 400},
		{"a batch of many", batchType, `[` + full("1") + `]`, 400},
		{"a batch of many attributes", batchType, `[` + event(many.String()) + `]`, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := limited(t)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader([]byte(test.body)))
			r.Header.Set("Content-Type", test.contentType)
			w := httptest.NewRecorder()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h.ServeHTTP(w, r)
			runtime.ReadMemStats(&after)
			if w.Code != test.want {
				t.Errorf("answered %d %.200s, want %d", w.Code, w.Body, test.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 6*size {
				t.Errorf("a body of %d KiB took %d KiB", len(test.body)>>10, took>>10)
			}
		})
	}
}
