package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/kube"
)

// desk is a reporter over a cluster, whose time passes only when told to.
type desk struct {
	*reporter
	t      *testing.T
	client client.Client
	clock  time.Time
	report attestation.Report
	leader bool
	writes int
	refuse error
	logged *observer.ObservedLogs
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, clock: time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC), leader: true}
	d.report = attestation.Report{Keys: []string{"a"}, Signs: "a"}
	write := func() error { d.writes++; return d.refuse }
	d.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return errors.Join(write(), c.Create(ctx, o, opts...))
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := write(); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
	}).Build()
	core, logged := observer.New(zapcore.WarnLevel)
	d.logged = logged
	d.restart("attestor-1", zap.New(core))
	return d
}

// restart replaces the process.
func (d *desk) restart(identity string, log *zap.Logger) {
	d.reporter = &reporter{
		live: d.client, namespace: "revet-system", identity: identity, log: log,
		leads: func() bool { return d.leader }, now: func() time.Time { return d.clock },
		facts: func() attestation.Report {
			r := d.report
			r.Since = d.clock
			return r
		},
	}
}

// read returns the report, who made it and when.
func (d *desk) read() (attestation.Report, string, time.Time) {
	d.t.Helper()
	var l coordinationv1.Lease
	if err := d.client.Get(d.t.Context(), client.ObjectKey{Namespace: "revet-system", Name: attestation.ReportLease}, &l); err != nil {
		d.t.Fatal(err)
	}
	r, err := attestation.ParseReport(l.Annotations[attestation.ReportAnnotation])
	if err != nil {
		d.t.Fatal(err)
	}
	return r, *l.Spec.HolderIdentity, l.Spec.RenewTime.UTC()
}

// after lets time pass, and returns how often a tick at its end wrote.
func (d *desk) after(time time.Duration) int {
	before := d.writes
	d.clock = d.clock.Add(time)
	d.tick(d.t.Context())
	return d.writes - before
}

// The attestor that leads reports what it has at once, then each minute, and a change at once.
// Its successor goes on from there: since when the keys are the same survives it.
func TestReporter(t *testing.T) {
	d := newDesk(t)
	began := d.clock
	for i, step := range []struct {
		change func()
		after  time.Duration
		writes int
	}{
		{nil, 0, 1},
		{nil, 10 * time.Second, 0},
		{nil, attestation.ReportEvery, 1},
		{func() { d.report.Triggers = 2 }, 10 * time.Second, 1},
		{func() { d.leader = false }, time.Second, 0},
		{func() { d.leader = true }, time.Second, 1},
		{func() { d.restart("attestor-2", zap.NewNop()) }, time.Second, 1},
	} {
		if step.change != nil {
			step.change()
		}
		if got := d.after(step.after); got != step.writes {
			t.Errorf("step %d: %d writes, want %d", i, got, step.writes)
		}
	}
	want := attestation.Report{Keys: []string{"a"}, Signs: "a", Since: began, Triggers: 2}
	report, by, at := d.read()
	if diff := cmp.Diff(want, report); diff != "" || by != "attestor-2" || !at.Equal(d.clock) {
		t.Errorf("reported by %s at %s (-want +got):\n%s", by, at, diff)
	}
	d.report.Keys = []string{"a", "b"}
	d.after(10 * time.Second)
	if report, _, _ := d.read(); !report.Since.Equal(d.clock) {
		t.Errorf("other keys are there since %s, want %s", report.Since, d.clock)
	}
}

// A report that cannot be written is told once, and written later.
func TestReporterTriesAgain(t *testing.T) {
	d := newDesk(t)
	d.after(0)
	d.refuse = errors.New("no")
	d.report.Triggers = 7
	for range 3 {
		d.after(10 * time.Second)
	}
	if n := d.logged.Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	d.refuse = nil
	if d.after(10*time.Second) != 1 {
		t.Error("it was not written again")
	}
	if report, _, _ := d.read(); report.Triggers != 7 {
		t.Errorf("reported is %+v", report)
	}
}
