package upstream

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPin(t *testing.T) {
	const (
		ours = `module example.com/ours

go 1.26.0

require (
	go.opentelemetry.io/otel/sdk v1.45.0
	go.opentelemetry.io/otel/sdk/metric v1.45.0
)

replace example.com/near => ../near

replace go.opentelemetry.io/otel/sdk => example.com/fork v1.0.0
`
		theirs = `module example.com/theirs

go 1.25.0

require (
	example.com/other v1.0.0
	go.opentelemetry.io/otel/sdk v1.43.0
	go.opentelemetry.io/otel/sdk/metric v1.43.1
)
`
		want = `module example.com/ours

go 1.26.0

require (
	go.opentelemetry.io/otel/sdk v1.45.0
	go.opentelemetry.io/otel/sdk/metric v1.45.0
)

replace example.com/near => /clone/near

replace go.opentelemetry.io/otel/sdk => go.opentelemetry.io/otel/sdk v1.43.0

replace go.opentelemetry.io/otel/sdk/metric => go.opentelemetry.io/otel/sdk/metric v1.43.1
`
	)
	got, err := pin([]byte(ours), []byte(theirs), "/clone/test")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	// Otherwise images would be built with a version that nobody has checked.
	without := strings.ReplaceAll(theirs, "go.opentelemetry.io/otel/sdk/metric v1.43.1", "")
	if _, err := pin([]byte(ours), []byte(without), "/clone/test"); err == nil || !strings.Contains(err.Error(), "does not require go.opentelemetry.io/otel/sdk/metric") {
		t.Errorf("error is %v, want one that names the module", err)
	}
}
