package attestation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// remove withdraws what a record names from the registry, and then the record. If the
// registry refuses, the record says so.
func (r *Reconciler) remove(ctx context.Context, e *v1alpha1.ImageVerification, rec *v1alpha1.AttestationStatus, why attestation.Reason) error {
	if err := r.withdraw(ctx, e, rec); err != nil {
		reason, message, lasts := lasting(err)
		if !lasts {
			return err
		}
		return r.refused(ctx, e, rec, v1alpha1.AttestationNotRemoved, reason, fmt.Sprintf("it no longer holds (%s): %s", why, message))
	}
	failpoint.Hit("attestation.removed")
	gone := *rec
	err := r.update(ctx, e, func(all []v1alpha1.AttestationStatus) []v1alpha1.AttestationStatus {
		return slices.DeleteFunc(all, func(old v1alpha1.AttestationStatus) bool { return old.Bundle == gone.Bundle })
	})
	if err != nil {
		return err
	}
	r.tell(e, corev1.EventTypeNormal, "AttestationRemoved", "the statement of run %s was removed: %s", gone.Run, why)
	return nil
}

// withdraw removes what a record names beside every image. What cannot be removed beside one, where
// anybody who may push may have seen to that, stays beside no other for it.
func (r *Reconciler) withdraw(ctx context.Context, e *v1alpha1.ImageVerification, rec *v1alpha1.AttestationStatus) error {
	where, err := image.ParseRepository(e.Spec.Repository.Pull)
	if err != nil {
		return fmt.Errorf("entry %q: %w", e.Name, err)
	}
	var repository Registry
	var failed error
	for i := range rec.Subjects {
		subject, manifests, err := parse(&rec.Subjects[i])
		if err != nil {
			return fmt.Errorf("entry %q: %w", e.Name, err)
		}
		if len(manifests) == 0 {
			continue // nothing was sent
		}
		if repository == nil {
			if repository, err = r.Open(e.Namespace, where); err != nil {
				return err
			}
		}
		err = r.held(ctx, e, func(ctx context.Context) error { return repository.Remove(ctx, subject, manifests...) })
		switch _, _, lasts := lasting(err); {
		case err == nil:
			failpoint.Hit("attestation.detached")
		case errors.Is(err, errNotLeading) || ctx.Err() != nil:
			return err
		case failed == nil || !lasts: // what may work the next time is tried sooner
			failed = err
		}
	}
	return failed
}

// refused records that a registry refuses something, for now. It tells of it once.
func (r *Reconciler) refused(ctx context.Context, e *v1alpha1.ImageVerification, rec *v1alpha1.AttestationStatus, state v1alpha1.AttestationState, reason, message string) error {
	next := *rec.DeepCopy()
	next.State, next.Reason, next.Message, next.At = state, reason, clip(message), metav1.NewTime(r.Now())
	news := rec.State != state || rec.Reason != reason
	if err := r.update(ctx, e, replacing(next)); err != nil {
		return err
	}
	if news {
		r.tell(e, corev1.EventTypeWarning, "Attestation"+string(state), "the statement of run %s: %s", next.Run, message)
	}
	return nil
}

func parse(s *v1alpha1.AttestationSubject) (image.Digest, []image.Digest, error) {
	subject, err := image.ParseDigest(s.Digest)
	if err != nil {
		return image.Digest{}, nil, err
	}
	var manifests []image.Digest
	for _, text := range s.Manifests {
		d, err := image.ParseDigest(text)
		if err != nil {
			return image.Digest{}, nil, err
		}
		manifests = append(manifests, d)
	}
	return subject, manifests, nil
}

// lasting returns the reason of an error that lasts until somebody changes something, such as
// rights in the registry.
func lasting(err error) (reason, message string, lasts bool) {
	var e *oci.Error
	if !errors.As(err, &e) {
		return "", "", false
	}
	switch e.Reason {
	case oci.ReasonTimedOut, oci.ReasonRateLimited, oci.ReasonUnavailable:
		return "", "", false
	default:
		return string(e.Reason), clip(e.Error()), true
	}
}

// clip bounds a message to what the status has room for.
func clip(message string) string { return image.Cut(message, 500) }

func (r *Reconciler) tell(e *v1alpha1.ImageVerification, kind, reason, format string, args ...any) {
	r.Recorder.Eventf(e, kind, reason, format, args...)
}
