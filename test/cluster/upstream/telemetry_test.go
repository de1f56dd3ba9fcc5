package upstream

import (
	"testing"

	"knative.dev/pkg/observability/resource"
)

// Knative's and Tekton's programs panic at start where the OpenTelemetry SDK in the build speaks another version of the
// semantic conventions than knative.dev/pkg. The images compile all the same, so this is where a wrong version shows.
func TestProgramsCanDescribeThemselvesToOpenTelemetry(t *testing.T) {
	t.Setenv("SYSTEM_NAMESPACE", eventingNamespace)
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%v: replace go.opentelemetry.io/otel/sdk and .../sdk/metric in go.mod by the version that knative.dev/pkg requires", r)
		}
	}()
	resource.Default("controller")
}
