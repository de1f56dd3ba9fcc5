package imagetrigger

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

// Sinks resolves and checks sinks, and what their runs need. Package tekton
// implements it.
type Sinks interface {
	Resolve(ctx context.Context, namespace string, sink v1alpha1.Sink) (*url.URL, error)
	Check(ctx context.Context, trigger *v1alpha1.ImageTrigger) (tekton.Report, error)
	RuntimeClassSince(ctx context.Context, name string) (time.Time, bool, error)
	HasServiceAccount(ctx context.Context, account source.Account) (bool, error)
	MayCreateRuns(ctx context.Context, account source.Account, namespace string) (bool, error)
}

// Streams answers which namespaces exist, by their labels, and what an account may do
// with the ImageStreams of one. An empty name means all streams of the namespace, and
// an empty namespace all of the cluster. Package source/openshift implements it.
type Streams interface {
	Namespaces(ctx context.Context) (map[string]map[string]string, error)
	MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error)
	MayPull(ctx context.Context, account source.Account, namespace, name string) (bool, error)
}

// Sweeps does sweeps on request. Package sweep implements it.
type Sweeps interface {
	Request(trigger *v1alpha1.ImageTrigger)
	Latest(uid types.UID) (latest *sweep.Result, underWay bool)
	Forget(uid types.UID)
}

// Runs says why the runs that a trigger requested do not appear. The reason is empty
// if they do. Package imageverification implements it.
type Runs interface {
	Trouble(ctx context.Context, trigger types.UID) (reason, message string, err error)
}

// Intervals say how often a trigger is checked without a cause.
type Intervals struct {
	// Ready and NotReady are between two checks of the sink.
	Ready    time.Duration
	NotReady time.Duration
	// Sweep is between two sweeps, and SweepRetry after one that failed.
	Sweep      time.Duration
	SweepRetry time.Duration
}

// DefaultIntervals returns what suits a cluster of 10,000 streams, which take the API
// server a second or two to list.
func DefaultIntervals() Intervals {
	return Intervals{Ready: 2 * time.Minute, NotReady: 30 * time.Second, Sweep: 10 * time.Minute, SweepRetry: 30 * time.Second}
}

func (i Intervals) validate() error {
	for _, v := range []struct {
		name  string
		value time.Duration
	}{{"Ready", i.Ready}, {"NotReady", i.NotReady}, {"Sweep", i.Sweep}, {"SweepRetry", i.SweepRetry}} {
		if v.value <= 0 {
			return fmt.Errorf("imagetrigger: interval %s is %v; it must be positive", v.name, v.value)
		}
	}
	return nil
}

// Options are what a Reconciler works with. All are required.
type Options struct {
	// Cached reads ImageTriggers from an informer.
	Cached client.Reader
	// Live writes their status.
	Live    client.Client
	Sinks   Sinks
	Streams Streams
	Sweeps  Sweeps
	Runs    Runs
	// Enqueue and EnqueueAfter put a trigger into the queue that feeds the Reconciler.
	// Nothing calls them before the informers run.
	Enqueue      func(types.NamespacedName)
	EnqueueAfter func(types.NamespacedName, time.Duration)
	Recorder     record.EventRecorder
	Log          *zap.Logger
	Now          func() time.Time
	// Jitter returns a number in [0, 1), which spreads triggers in time.
	Jitter    func() float64
	Intervals Intervals
}

func (o Options) validate() error {
	for name, missing := range map[string]bool{
		"Cached": o.Cached == nil, "Live": o.Live == nil, "Sinks": o.Sinks == nil, "Streams": o.Streams == nil,
		"Sweeps": o.Sweeps == nil, "Runs": o.Runs == nil, "Enqueue": o.Enqueue == nil, "EnqueueAfter": o.EnqueueAfter == nil, "Recorder": o.Recorder == nil,
		"Log": o.Log == nil, "Now": o.Now == nil, "Jitter": o.Jitter == nil,
	} {
		if missing {
			return fmt.Errorf("imagetrigger: option %s is not set", name)
		}
	}
	return o.Intervals.validate()
}
