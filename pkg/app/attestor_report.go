package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/attestation"
	attestations "github.com/revet-dev/revet/pkg/controller/attestation"
)

const (
	// reportInterval is how soon a change is reported.
	reportInterval = 10 * time.Second
	// reportTimeout bounds one report.
	reportTimeout = 5 * time.Second
)

// reporter says, in a Lease that whoever examines Revet may read, what the attestor that leads
// has. A process that was stopped may overwrite its successor's report; that one's next corrects it.
type reporter struct {
	live                client.Client
	namespace, identity string
	leads               func() bool
	facts               func() attestation.Report
	now                 func() time.Time
	log                 *zap.Logger

	last    attestation.Report
	at      time.Time
	problem string // of the latest report, to log it once
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) error {
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		r.tick(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// tick reports if this process leads, and something changed or the latest report is old.
func (r *reporter) tick(ctx context.Context) {
	if !r.leads() {
		r.at = time.Time{} // whoever leads meanwhile reports
		return
	}
	facts := r.facts().After(r.last)
	if reflect.DeepEqual(facts, r.last) && r.now().Sub(r.at) < attestation.ReportEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	err := r.write(ctx, facts)
	switch {
	case err == nil:
		r.problem = ""
	case err.Error() != r.problem && ctx.Err() == nil:
		r.problem = err.Error()
		r.log.Warn("reporting the keys", zap.Error(err))
	}
}

func (r *reporter) write(ctx context.Context, facts attestation.Report) error {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.namespace, Name: attestation.ReportLease, Labels: map[string]string{"app.kubernetes.io/part-of": "revet"},
	}}
	err := r.live.Get(ctx, client.ObjectKeyFromObject(lease), lease)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return fmt.Errorf("reading Lease %q: %w", lease.Name, err)
	}
	if earlier, err := attestation.ParseReport(lease.Annotations[attestation.ReportAnnotation]); err == nil {
		facts = facts.After(earlier)
	}
	text, err := facts.Encode()
	if err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&lease.ObjectMeta, attestation.ReportAnnotation, text)
	at := r.now()
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = &r.identity, &metav1.MicroTime{Time: at}
	lease.Spec.LeaseDurationSeconds = new(int32(attestation.ReportStale / time.Second))
	if missing {
		err = r.live.Create(ctx, lease)
	} else {
		err = r.live.Update(ctx, lease)
	}
	if err != nil {
		return fmt.Errorf("writing Lease %q: %w", lease.Name, err)
	}
	r.last, r.at = facts, at
	return nil
}

// watch shows the same as metrics.
func (r *reporter) watch(m metric.Meter) error {
	gauges := map[string]metric.Int64ObservableGauge{}
	var all []metric.Observable
	for name, what := range map[string]string{
		"revet_attestor_leads":        "1 if this attestor leads, otherwise 0.",
		"revet_attestation_keys":      "Keys whose signatures count.",
		"revet_attestation_key_signs": "1 if there is a key that signs now, otherwise 0.",
		"revet_attestation_triggers":  "Triggers whose verdicts the operator lets be signed.",
		"revet_attestation_problems":  "What is not valid of the keys and of the operator's configuration.",
	} {
		g, err := m.Int64ObservableGauge(name, metric.WithDescription(what))
		if err != nil {
			return fmt.Errorf("metric %q: %w", name, err)
		}
		gauges[name], all = g, append(all, g)
	}
	_, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		facts := r.facts()
		o.ObserveInt64(gauges["revet_attestor_leads"], count(r.leads()))
		o.ObserveInt64(gauges["revet_attestation_keys"], int64(len(facts.Keys)))
		o.ObserveInt64(gauges["revet_attestation_key_signs"], count(facts.Signs != ""))
		o.ObserveInt64(gauges["revet_attestation_triggers"], int64(facts.Triggers))
		o.ObserveInt64(gauges["revet_attestation_problems"], int64(len(facts.Problems)))
		return nil
	}, all...)
	if err != nil {
		return fmt.Errorf("watching the attestor: %w", err)
	}
	return nil
}

func count(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// reporter reports under the lease that the reconciler leads by.
func (a *Attestor) reporter(r *attestations.Reconciler) *reporter {
	key := types.NamespacedName{Namespace: a.options.SystemNamespace, Name: attestation.ReportLease}
	return &reporter{
		live: a.access.live, namespace: key.Namespace, identity: a.options.Identity,
		leads: func() bool { return r.IsLeaderFor(key) }, facts: a.report, now: a.options.Now, log: a.log,
	}
}

// report is what this attestor has. That there is no key shows by itself, and is no problem
// where nobody asks for a signature.
func (a *Attestor) report() attestation.Report {
	problems := slices.DeleteFunc(a.problems(), func(err error) bool { return errors.Is(err, errNoKey) })
	facts := attestation.NewReport(a.keys.Ring(), a.options.Now(), problems)
	list := a.config.Attested()
	facts.Triggers, facts.List = len(list), list.Digest()
	return facts
}

func (a *Attestor) problems() []error { return append(a.config.Problems(), a.keys.Problems()...) }
