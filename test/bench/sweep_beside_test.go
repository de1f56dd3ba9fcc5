//go:build linux && bench

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// besidePushes is how many pushes are recorded with and without sweeps beside them. A pause between two keeps them from
// being one another's load.
const (
	besidePushes = 100
	besidePause  = 30 * time.Millisecond
)

// measureBeside measures how long the receiver takes to record a push, from the event to its answer, while the streams of all
// triggers are swept without a break, and while they are not.
func (e *bed) measureBeside(b *testing.B) {
	b.Helper()
	namespace := e.newNamespace(b)
	e.trigger(b, namespace)
	r := newRepository(b, e.admin, namespace)
	receiver := e.startReceiver(b)
	defer receiver.stop()
	number := 0
	for _, c := range []struct{ name, interval string }{{"at-rest", "1h"}, {"sweeping", "1s"}} {
		controller := e.startRevet(b, "controller", e.programs.controller, "-identity=bench", "-sweep-interval="+c.interval)
		eventually(b, restPatience, "the first sweep ends", func() error {
			if _, n, err := sweepSeconds(b.Context(), controller.metrics); err != nil || n < 2 {
				return fmt.Errorf("%g of 2 triggers were swept, %w", n, err)
			}
			return nil
		})
		before := controller.cost(b)
		var took []time.Duration
		for range besidePushes {
			if _, err := r.prepare(b.Context(), number); err != nil {
				b.Fatal(err)
			}
			number++
			if err := r.push(b.Context()); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			if err := r.tell(b.Context(), receiver.url); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
			<-time.After(besidePause)
		}
		after := controller.cost(b)
		b.Logf("%d pushes were recorded %s, beside %g sweeps", besidePushes, c.name, after.sweeps-before.sweeps)
		self := func(d time.Duration) time.Duration { return d }
		sweepCost["record-p50-ms-"+c.name], sweepCost["record-p99-ms-"+c.name] = milliseconds(percentile(took, 50, self)), milliseconds(percentile(took, 99, self))
		controller.stop()
	}
}

// tell sends the stream to the receiver as the adapter does, and waits for the answer.
func (r *repository) tell(ctx context.Context, url string) error {
	stream := r.stream.DeepCopy()
	stream.TypeMeta = metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"}
	body, err := json.Marshal(stream)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": stream.ResourceVersion, "Ce-Source": "bench",
		"Ce-Type": "dev.knative.apiserver.resource.update", "Ce-Kind": "ImageStream", "Ce-Apiversion": "image.openshift.io/v1",
		"Ce-Name": stream.Name, "Ce-Namespace": stream.Namespace,
	} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the receiver answered %s", response.Status)
	}
	return nil
}
