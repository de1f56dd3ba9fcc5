package receiver

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/source/openshift"
)

// noStreams is an API server without ImageStreams.
type noStreams struct{ unreachable }

func (noStreams) Stream(context.Context, string, string) (*openshift.StreamState, error) {
	return nil, nil
}

// What events cost in vain counts for the address that sent them, in whichever mode.
func TestEventsInVainCountForTheirAddress(t *testing.T) {
	reference := `{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","namespace":"demo","name":"app"}`
	structured := `{"specversion":"1.0","id":"1","source":"s","type":"dev.knative.apiserver.ref.update","data":` + reference + `}`
	for _, mode := range []struct{ name, contentType, body string }{
		{"binary", "application/json", reference},
		{"structured", structuredType, structured},
		{"batch", batchType, "[" + structured + "]"},
	} {
		t.Run(mode.name, func(t *testing.T) {
			h := covering(t, 1, 1)
			h.intake.Cluster = noStreams{}
			send := func(source string) int {
				r := from(t, source, strings.NewReader(mode.body), int64(len(mode.body)))
				r.Header.Set("Content-Type", mode.contentType)
				r.Header.Set("Ce-Type", "dev.knative.apiserver.ref.update")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w.Code
			}
			answers := map[int]int{}
			for range 300 {
				answers[send("10.0.0.66")]++
			}
			if got, want := fmt.Sprint(answers), fmt.Sprint(map[int]int{http.StatusAccepted: 200, http.StatusServiceUnavailable: 100}); got != want {
				t.Errorf("answers by status: %s, want %s", got, want)
			}
			if code := send("10.0.0.1"); code != http.StatusAccepted {
				t.Errorf("another address was answered %d, want 202", code)
			}
		})
	}
}
