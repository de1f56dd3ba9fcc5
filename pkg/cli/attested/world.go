package attested

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/config"
)

// World is what could be read of who signs verdicts, and whose.
type World struct {
	// System is Revet's own namespace.
	System string
	Now    time.Time
	// List is the operator's list. If ListErr is not nil, it is not known.
	List    config.Attested
	ListErr error
	// Invalid is true if the list can be read and is not valid. An earlier one is in force.
	Invalid bool
	// Report is what the attestor that leads said last, By whom and At which time; nil if none
	// ever did. If ReportErr is not nil, it is not known.
	Report    *attestation.Report
	ReportErr error
	By        string
	At        time.Time
}

// Read reads the operator's list and the attestor's report.
func Read(ctx context.Context, c client.Reader, system string, now time.Time) *World {
	w := &World{System: system, Now: now}
	w.readList(ctx, c)
	w.readReport(ctx, c)
	return w
}

func (w *World) readList(ctx context.Context, c client.Reader) {
	var m corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: w.System, Name: config.AttestationConfigMap}, &m)
	if client.IgnoreNotFound(err) != nil {
		w.ListErr = notRead("the "+w.list(), err)
		return
	}
	if w.List, err = config.AttestedIn(m.Data); err != nil { // a list that is not there names nothing
		w.Invalid, w.ListErr = true, fmt.Errorf("the %s is not valid, and an earlier one is in force: %w", w.list(), err)
	}
}

func (w *World) readReport(ctx context.Context, c client.Reader) {
	var l coordinationv1.Lease
	err := c.Get(ctx, client.ObjectKey{Namespace: w.System, Name: attestation.ReportLease}, &l)
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		w.ReportErr = notRead(fmt.Sprintf("the Lease %s in namespace %s", attestation.ReportLease, w.System), err)
		return
	}
	report, err := attestation.ParseReport(l.Annotations[attestation.ReportAnnotation])
	if err != nil {
		w.ReportErr = fmt.Errorf("the Lease %s in namespace %s: %w", attestation.ReportLease, w.System, err)
		return
	}
	w.Report = &report
	if l.Spec.HolderIdentity != nil {
		w.By = *l.Spec.HolderIdentity
	}
	if l.Spec.RenewTime != nil {
		w.At = l.Spec.RenewTime.Time
	}
}

func (w *World) list() string {
	return fmt.Sprintf("ConfigMap %s in namespace %s", config.AttestationConfigMap, w.System)
}

// Stale reports whether no attestor leads now, by a report that could be read: none reported, or
// not lately.
func (w *World) Stale() bool {
	return w.Report == nil || w.Now.Sub(w.At) >= attestation.ReportStale
}

// notRead says that something may not, or could not, be read.
func notRead(what string, err error) error {
	if apierrors.IsForbidden(err) {
		return &notReadError{fmt.Sprintf("you may not read %s", what), err}
	}
	return &notReadError{fmt.Sprintf("cannot read %s: %v", what, err), err}
}

type notReadError struct {
	text string
	err  error
}

func (e *notReadError) Error() string { return e.text }
func (e *notReadError) Unwrap() error { return e.err }
