//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// A user's own Knative Trigger on the outcome of a verification receives it.
func TestVerdictReachesSubscriber(t *testing.T) {
	w := newEnv(t, "e2e-events", stack.Direct)
	if _, err := cluster.Kubectl(t.Context(), "apply", "-f", "eventing/verdicts/"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.KoApply(t.Context(), "test", "-f", "e2e/testdata/subscriber.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"wait", "-n", stack.System, "--for=condition=Ready", "broker/verdicts", "sinkbinding/verdicts", "trigger/subscriber", "--timeout=120s"},
		{"rollout", "status", "-n", stack.System, "deployment/controller", "--timeout=120s"},
		{"rollout", "status", "-n", "e2e-subscriber", "deployment/sink", "--timeout=120s"},
	} {
		if _, err := cluster.Kubectl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	w.ready(t, stack.Direct)
	digest := w.push(t, "bad:1", images.Bad())
	w.verdict(t, digest)

	var last []map[string]any
	await(t, time.Minute, func() string { return fmt.Sprintf("the event of the failed verification; received: %v", last) }, func(ctx context.Context) (bool, error) {
		body, err := w.clientset.CoreV1().Services("e2e-subscriber").ProxyGet("http", "sink", "80", "/events", nil).DoRaw(ctx)
		if err != nil {
			return false, err
		}
		last = nil
		if err := json.Unmarshal(body, &last); err != nil {
			return false, err
		}
		for _, event := range last {
			if event["imagedigest"] == digest && event["outcome"] == "fail" && event["type"] == "dev.cdevents.testsuiterun.finished.0.3.0" {
				return true, nil
			}
		}
		return false, nil
	})
	for _, event := range last {
		if event["outcome"] != "fail" {
			t.Errorf("the Trigger's filter let %v through", event)
		}
	}
}
