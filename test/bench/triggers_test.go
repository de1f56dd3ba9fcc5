//go:build linux && bench

package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// ignoredEvents are sent by so many senders, each after the answer to its last.
	ignoredEvents  = 4000
	ignoredSenders = 8
	// tenantPushes is how many pushes are recorded, each in another namespace where there are enough.
	tenantPushes = 300
	// tenantSweeps is how often all triggers are swept, each tenantPeriod.
	tenantSweeps = 3
	tenantPeriod = 20 * time.Second
)

// triggersCost is measured once: how often a benchmark is repeated does not change it.
var (
	triggersOnce sync.Once
	triggersCost = map[string]float64{}
)

// What triggers in as many namespaces cost: TRIGGERS says how many, 1, 100 and 2,000 unless said otherwise.
func BenchmarkTriggers(b *testing.B) {
	numbers := sizes(b, "TRIGGERS", 1, 100, 2000)
	triggersOnce.Do(func() {
		e := newBed(b)
		t := e.newTenants(b)
		for _, n := range numbers {
			e.grow(b, t, n)
			e.measureTriggers(b, t)
		}
	})
	b.ReportMetric(0, "ns/op")
	for name, value := range triggersCost {
		b.ReportMetric(value, name)
	}
}

func (e *bed) measureTriggers(b *testing.B, t *tenants) {
	b.Helper()
	tell := func(name string, value float64) {
		triggersCost[strconv.Itoa(len(t.namespaces))+"-"+name] = value
		b.Logf("%d triggers: %s %.4g", len(t.namespaces), name, value)
	}
	receiver := e.startReceiver(b)
	defer receiver.stop()
	began := time.Now()
	controller := e.startRevet(b, "controller", e.programs.controller, "-identity=bench", "-sweep-interval="+tenantPeriod.String(),
		"-max-concurrent=100000")
	defer controller.stop()
	eventually(b, restPatience, "all triggers are ready and swept", func() error { return e.watched(b, t) })
	tell("first-look-s", time.Since(began).Seconds())
	tell("first-look-cpu-s", controller.cost(b).processor)

	e.measureTenantSweeps(b, t, controller, tell)
	e.measureRecords(b, t, receiver, tell)
	e.measureIgnored(b, t, receiver, tell)
	for name, p := range map[string]served{"receiver": receiver, "controller": controller} {
		series, size, took := scrape(b, p.metrics)
		tell(name+"-series", float64(series))
		tell(name+"-metrics-KiB", float64(size)/1024)
		tell(name+"-scrape-ms", milliseconds(took))
	}
	// Sweeps go on, whose garbage is no rest; what was the least in a while is held.
	held := leastHeld(b, restTime, receiver, controller)
	tell("receiver-MiB", held[0])
	tell("controller-MiB", held[1])
}

// measureTenantSweeps measures sweeps of all triggers, and what the controller does between them.
func (e *bed) measureTenantSweeps(b *testing.B, t *tenants, c served, tell func(string, float64)) {
	b.Helper()
	before := c.cost(b)
	want := before.sweeps + float64(tenantSweeps*len(t.namespaces))
	eventually(b, restPatience, "all triggers are swept again", func() error {
		if now := c.cost(b); now.sweeps < want {
			return fmt.Errorf("%g of %g", now.sweeps, want)
		}
		return nil
	})
	after := c.cost(b)
	rounds := (after.sweeps - before.sweeps) / float64(len(t.namespaces))
	tell("sweep-s", (after.seconds-before.seconds)/(after.sweeps-before.sweeps))
	tell("sweep-of-all-cpu-s", (after.processor-before.processor)/rounds)
}

// measureRecords measures how long the receiver takes from an event to its answer, which comes when the
// push is recorded.
func (e *bed) measureRecords(b *testing.B, t *tenants, receiver served, tell func(string, float64)) {
	b.Helper()
	repositories := map[int]*repository{}
	var took []time.Duration
	for n := range tenantPushes {
		at := n % len(t.namespaces)
		if repositories[at] == nil {
			repositories[at] = e.repository(b, t, at)
		}
		r := repositories[at]
		if _, err := r.prepare(b.Context(), t.pushed()); err != nil {
			b.Fatal(err)
		}
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
	self := func(d time.Duration) time.Duration { return d }
	tell("record-p50-ms", milliseconds(percentile(took, 50, self)))
	tell("record-p99-ms", milliseconds(percentile(took, 99, self)))
}

// measureIgnored sends events that show nothing new, of a stream of 20 tags.
func (e *bed) measureIgnored(b *testing.B, t *tenants, receiver served, tell func(string, float64)) {
	b.Helper()
	r := e.repository(b, t, 0)
	for range streamTags {
		if _, err := r.prepare(b.Context(), t.pushed()); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.push(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := r.tell(b.Context(), receiver.url); err != nil {
		b.Fatal(err)
	}
	before := receiver.cost(b)
	var senders errgroup.Group
	for range ignoredSenders {
		senders.Go(func() error {
			for range ignoredEvents / ignoredSenders {
				if err := r.tell(b.Context(), receiver.url); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := senders.Wait(); err != nil {
		b.Fatal(err)
	}
	tell("ignored-events/s/core", ignoredEvents/(receiver.cost(b).processor-before.processor))
}

// scrape reads metrics as Prometheus does.
func scrape(b *testing.B, url string) (series, size int, took time.Duration) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	took = time.Since(began)
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("#")) {
			series++
		}
	}
	return series, len(text), took
}

// leastHeld is the least that each process held during a time, in MiB.
func leastHeld(b *testing.B, during time.Duration, all ...served) []float64 {
	b.Helper()
	least := make([]float64, len(all))
	for end := time.Now().Add(during); time.Now().Before(end); <-time.After(time.Second) {
		for i, p := range all {
			now, err := p.residentMiB()
			if err != nil {
				b.Fatal(err)
			}
			if least[i] == 0 || now < least[i] {
				least[i] = now
			}
		}
	}
	return least
}
