package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/sweep"
)

// controllerClient reads and writes as the controller's account may.
func controllerClient(t *testing.T) client.Client {
	t.Helper()
	return clientOf(t, account(t, systemNamespace, "controller"))
}

// everythingRuns is for images whose objects do not matter.
type everythingRuns struct{}

func (everythingRuns) Image(context.Context, image.Digest) (openshift.ImageState, error) {
	return openshift.ImageState{Runs: true}, nil
}

// sweeper runs a sweeper under the controller's account; what is returned second
// sweeps a trigger and waits.
func sweeper(t *testing.T) (*sweep.Sweeper, func(*v1alpha1.ImageTrigger) sweep.Result) {
	t.Helper()
	c := controllerClient(t)
	metrics, err := sweep.NewMetrics(noop.NewMeterProvider().Meter(""))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan types.NamespacedName, 16)
	o := sweep.DefaultOptions()
	o.Gather = 0
	s, err := sweep.New(sweep.Dependencies{
		Cluster: openshift.NewReader(c, source.NewRights(c, 0, time.Now)), Images: everythingRuns{}, Ledger: ledger.New(c, ledger.NewIndex(time.Now)),
		Examiner: sweep.Ignore{}, Metrics: metrics, Log: zap.NewNop(), Now: time.Now, Done: func(k types.NamespacedName) { done <- k },
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return s, func(trigger *v1alpha1.ImageTrigger) sweep.Result {
		t.Helper()
		s.Request(trigger)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("a sweep has not ended after 30 s")
		}
		latest, _ := s.Latest(trigger.UID)
		if latest == nil {
			t.Fatal("a sweep that ended has no result")
		}
		return *latest
	}
}

// triggerNamed reads a trigger as the API server has it.
func triggerNamed(t *testing.T, namespace, name string) *v1alpha1.ImageTrigger {
	t.Helper()
	var found v1alpha1.ImageTrigger
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &found); err != nil {
		t.Fatal(err)
	}
	return &found
}

// Pushes of which no event was ever delivered are in the ledger after one sweep,
// which does it with the controller's own rights; a second one finds nothing.
func TestSweepRecoversWhatNoEventBrought(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	trigger(t, namespace)
	var want []string
	for i := range 7 {
		tag := fmt.Sprintf("v%d", i)
		want = append(want, namespace+"/web:"+tag+"@"+push(t, namespace+"/web:"+tag))
	}
	first := namespace + "/db:latest@" + push(t, namespace+"/db:latest")
	want = append(want, first, namespace+"/db:latest@"+push(t, namespace+"/db:latest"))
	slices.Sort(want)

	_, run := sweeper(t)
	asked := triggerNamed(t, namespace, "vet")
	if r := run(asked); r.Repositories != 2 || r.Recovered != 0 || r.Reason != sweep.StreamsNotVisible || r.Coverage() != v1alpha1.CoverageNotKnown {
		t.Errorf("a sweep for an account that may get no stream: %+v", r)
	}
	if diff := cmp.Diff([]string{}, pushes(t, namespace)); diff != "" {
		t.Fatalf("ledger of an account without rights (-want +got):\n%s", diff)
	}

	mayGet(t, namespace)
	_, run = sweeper(t) // another one: rights are believed for a minute
	eventually(t, "the new rights are seen", func() error {
		if r := run(asked); r.Recovered == 0 {
			return fmt.Errorf("nothing recovered: %+v", r)
		}
		return nil
	})
	if diff := cmp.Diff(want, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if r := run(asked); r.Recovered != 0 || r.Repositories != 2 || r.Reason != "" {
		t.Errorf("a second sweep: %+v", r)
	}
}

// A sweep reads a long list page by page and sees all of it.
func TestSweepReadsAllPages(t *testing.T) {
	ownCluster(t)
	const streams = 620 // more than one page
	namespace := newNamespace(t)
	c := admin(t)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < streams; i += 8 {
				is := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("s%d", i)}}
				if err := c.Create(t.Context(), is); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	err := openshift.NewReader(controllerClient(t), nil).EachStream(t.Context(), namespace, func(s *openshift.StreamState) { seen[s.Name] = true })
	if err != nil || len(seen) != streams {
		t.Errorf("%d of %d streams, %v", len(seen), streams, err)
	}
}

// Sweeps go on when the API server comes back.
func TestSweepOutlivesTheAPIServer(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	mayGet(t, namespace)
	trigger(t, namespace)
	digest := push(t, namespace+"/web:prod")
	_, run := sweeper(t)
	asked := triggerNamed(t, namespace, "vet")
	if err := clusterOf(t).StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	r := run(asked)
	if err := clusterOf(t).StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Reason != sweep.ReadFailed || !r.Retry {
		t.Errorf("a sweep without an API server: %+v", r)
	}
	eventually(t, "the push is recovered", func() error {
		if r := run(asked); r.Reason != "" {
			return errors.New(r.Message)
		}
		return nil
	})
	if diff := cmp.Diff([]string{namespace + "/web:prod@" + digest}, pushes(t, namespace)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A controller whose own watches had to begin again sweeps at once, long before the
// next sweep is due: an API server that was started again made sources lose events.
func TestControllerSweepsAfterAGap(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	push(t, namespace+"/web:v1")
	startController(t, "one")
	eventually(t, "the sweep at the start", func() error {
		if s := triggerNamed(t, namespace, "vet").Status.LastSweep; s == nil || s.Pushes != 1 || s.Recovered != 1 {
			return fmt.Errorf("lastSweep %+v", s)
		}
		return nil
	})
	push(t, namespace+"/web:v1") // nobody tells
	if err := clusterOf(t).Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	inPhase(t, namespace, 2, v1alpha1.PhaseRunning)
	eventually(t, "the sweep is told of", func() error {
		if s := triggerNamed(t, namespace, "vet").Status.LastSweep; s.Pushes != 2 || s.Gap != 0 {
			return fmt.Errorf("lastSweep %+v", s)
		}
		return nil
	})
}
