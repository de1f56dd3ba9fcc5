package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/intake"
)

// The names are what dashboards and alerts are made of.
func TestMetricsHaveTheNamesThatAreDocumented(t *testing.T) {
	// The library takes an address, not a listener; a port that was free a moment
	// ago is as near as one comes.
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	provider, err := newMeterProvider(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = provider.Shutdown(t.Context()) }()
	instruments, err := intake.NewMetrics(provider.Meter(meterName))
	if err != nil {
		t.Fatal(err)
	}

	web := streamOf("web", map[string][]int{"prod": {1}, "$(id)": {2}})
	c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
	r := c.receiver()
	r.serve(r.watches, instruments)
	for range 2 {
		if code, body := send(t, r, update(t, web)); code != http.StatusAccepted {
			t.Fatalf("answered %d %s", code, body)
		}
	}
	got := scrape(t, address)
	for _, want := range []string{
		`revet_events_total{kind="ImageStream",result="Recorded",source="event"} 1`,
		`revet_events_total{kind="ImageStream",result="NothingNew",source="event"} 1`,
		`revet_pushes_recorded_total{source="event"} 1`,
		`revet_skips_total{reason="InvalidTag"} 1`,
		`revet_rereads_total{source="event"} 1`,
		`revet_push_to_record_seconds_count{source="event"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in:\n%s", want, got)
		}
	}
}

// scrape returns Revet's metrics without the labels of the scope.
func scrape(t *testing.T, address string) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		metrics, err := read(t, "http://"+address+"/metrics")
		if err == nil {
			return metrics
		}
		select {
		case <-deadline:
			t.Fatalf("no metrics within 10 s: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func read(t *testing.T, url string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %d %s, %w", response.StatusCode, body, err)
	}
	var lines []string
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, "revet_") {
			continue
		}
		name, labels, _ := strings.Cut(strings.TrimSpace(line), "{")
		labels, value, _ := strings.Cut(labels, "} ")
		var own []string
		for _, label := range strings.Split(labels, ",") {
			if !strings.HasPrefix(label, "otel_scope_") {
				own = append(own, label)
			}
		}
		lines = append(lines, name+"{"+strings.Join(own, ",")+"} "+value)
	}
	return strings.Join(lines, "\n"), nil
}
