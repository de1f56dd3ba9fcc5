package intake

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/recorder"
)

// Dependencies are what an Intake works with.
type Dependencies struct {
	Triggers   *Triggers
	Namespaces Namespaces
	Cluster    Cluster
	Registry   Registry
	Ledger     Ledger
	Metrics    *Metrics
	Log        *zap.Logger
	Now        func() time.Time
	// Sleep waits before a tag is looked at again; nil waits by the clock.
	Sleep func(context.Context, time.Duration) error
	// RegistryTimeout bounds each read of a registry.
	RegistryTimeout time.Duration
	// RecordConcurrency is how many digests of one stream are recorded at once; 0 means
	// 8. The sender waits, so a stream with many new pushes must not take many times as
	// long as one with a single push.
	RecordConcurrency int
}

// Intake handles events and notifications. It is safe for concurrent use.
type Intake struct {
	Dependencies
	recorder *recorder.Recorder
	locks    locks
	// reported is what was logged and counted.
	reported *recent[report]
	patience *patience
}

// New returns an Intake.
func New(d Dependencies) *Intake {
	if d.Sleep == nil {
		d.Sleep = sleep
	}
	return &Intake{
		Dependencies: d,
		recorder:     recorder.New(recorder.Dependencies{Ledger: d.Ledger, Metrics: d.Metrics.Metrics, Log: d.Log, Now: d.Now}),
		reported:     newRecent[report](maxReported),
		patience:     newPatience(d.Now),
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
