package attestation

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// prepare signs the statement of an entry's verdict with the current key, and records what
// will be sent.
func (r *Reconciler) prepare(ctx context.Context, e *v1alpha1.ImageVerification) error {
	key, ok := r.Keys().Current(r.Now())
	if !ok {
		return nil // it was taken out just now; Next says so
	}
	s, b, err := r.sign(ctx, e, key)
	if err != nil {
		return err
	}
	return r.record(ctx, e, s, b)
}

func (r *Reconciler) sign(ctx context.Context, e *v1alpha1.ImageVerification, key attestation.Signer) (attestation.Statement, attestation.Bundle, error) {
	s, err := attestation.Make(e, r.Verifier)
	if err != nil {
		return s, attestation.Bundle{}, fmt.Errorf("stating the verdict of entry %q: %w", e.Name, err)
	}
	b, err := attestation.Sign(ctx, s, key)
	return s, b, err
}

// record writes a bundle that is about to be sent into the status, in place of an earlier
// record of it. If the registry does not let the images be read, it records that.
func (r *Reconciler) record(ctx context.Context, e *v1alpha1.ImageVerification, s attestation.Statement, b attestation.Bundle) error {
	now := metav1.NewTime(r.Now())
	rec := v1alpha1.AttestationStatus{
		Bundle: b.Digest.String(), Key: b.Key, Run: e.Status.Verdict.Run, VerifiedAt: e.Status.Verdict.At,
		State: v1alpha1.AttestationPending, At: now,
	}
	for _, subject := range s.Subjects {
		rec.Subjects = append(rec.Subjects, v1alpha1.AttestationSubject{Digest: subject.String()})
	}
	artifacts, err := r.artifacts(ctx, e.Namespace, s, b)
	if err != nil {
		reason, message, lasts := lasting(err)
		if !lasts {
			return err
		}
		rec.State, rec.Reason, rec.Message = v1alpha1.AttestationNotPublished, reason, message
		r.tell(e, corev1.EventTypeWarning, "AttestationNotPublished", "the verdict of run %s cannot be attached: %s", rec.Run, message)
	}
	for i, a := range artifacts {
		manifests, err := publish.Manifests(a)
		if err != nil {
			return err
		}
		rec.Subjects[i].Manifests = texts(manifests)
	}
	return r.update(ctx, e, func(all []v1alpha1.AttestationStatus) []v1alpha1.AttestationStatus {
		all = slices.DeleteFunc(all, func(old v1alpha1.AttestationStatus) bool { return old.Bundle == rec.Bundle })
		return append(all, rec)
	})
}

// artifacts returns what is pushed for each subject of a statement, in their order.
func (r *Reconciler) artifacts(ctx context.Context, namespace string, s attestation.Statement, b attestation.Bundle) ([]publish.Artifact, error) {
	repository, err := r.Open(namespace, s.Repository)
	if err != nil {
		return nil, err
	}
	var all []publish.Artifact
	for _, d := range s.Subjects {
		subject, err := repository.Describe(ctx, d)
		if err != nil {
			return nil, err
		}
		all = append(all, publish.Artifact{
			Subject: subject, Type: sigstore.BundleType, Content: b.Content, Title: "verdict.sigstore.json",
			Kind: s.Kind(), Annotations: s.Annotations(),
		})
	}
	return all, nil
}

// publish sends what a record names, if its bytes can be made again as they were recorded.
// Otherwise it withdraws the record, so that the next step makes another.
func (r *Reconciler) publish(ctx context.Context, e *v1alpha1.ImageVerification, rec *v1alpha1.AttestationStatus) error {
	key, ok := r.Keys().Find(rec.Key)
	if !ok {
		// It was taken out just now, or there is no key at all; Next says so.
		r.checked(e)
		return nil
	}
	s, b, err := r.sign(ctx, e, key)
	if err != nil {
		return err
	}
	if b.Digest.String() != rec.Bundle {
		return r.remove(ctx, e, rec, "NotReproducible")
	}
	if slices.ContainsFunc(rec.Subjects, func(s v1alpha1.AttestationSubject) bool { return len(s.Manifests) == 0 }) {
		return r.record(ctx, e, s, b) // nothing was sent for want of access
	}
	failpoint.Hit("attestation.recorded")
	sent, err := r.send(ctx, e, s, b)
	if err != nil {
		reason, message, lasts := lasting(err)
		if !lasts {
			return err
		}
		return r.refused(ctx, e, rec, v1alpha1.AttestationNotPublished, reason, message)
	}
	failpoint.Hit("attestation.sent")
	done := *rec.DeepCopy()
	done.State, done.Reason, done.Message, done.Subjects, done.At = v1alpha1.AttestationPublished, "", "", sent, metav1.NewTime(r.Now())
	if rec.State != v1alpha1.AttestationPublished {
		if err := r.update(ctx, e, replacing(done)); err != nil {
			return err
		}
		r.tell(e, corev1.EventTypeNormal, "Attested", "the verdict of run %s is attached to %d images as %s", done.Run, len(sent), done.Bundle)
	}
	r.checked(e)
	return nil
}

// send attaches a bundle to every subject of its statement, one at a time.
func (r *Reconciler) send(ctx context.Context, e *v1alpha1.ImageVerification, s attestation.Statement, b attestation.Bundle) ([]v1alpha1.AttestationSubject, error) {
	artifacts, err := r.artifacts(ctx, e.Namespace, s, b)
	if err != nil {
		return nil, err
	}
	repository, err := r.Open(e.Namespace, s.Repository)
	if err != nil {
		return nil, err
	}
	var sent []v1alpha1.AttestationSubject
	for _, a := range artifacts {
		err := r.held(ctx, e, func(ctx context.Context) error {
			manifest, err := repository.Push(ctx, a)
			if err == nil {
				sent = append(sent, v1alpha1.AttestationSubject{Digest: a.Subject.Digest.String(), Manifests: []string{manifest.String()}})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		failpoint.Hit("attestation.attached")
	}
	return sent, nil
}

// replacing puts a record in the place of the one of its bundle.
func replacing(rec v1alpha1.AttestationStatus) func([]v1alpha1.AttestationStatus) []v1alpha1.AttestationStatus {
	return func(all []v1alpha1.AttestationStatus) []v1alpha1.AttestationStatus {
		for i := range all {
			if all[i].Bundle == rec.Bundle {
				all[i] = rec
			}
		}
		return all
	}
}

func texts(digests []image.Digest) []string {
	all := make([]string, len(digests))
	for i, d := range digests {
		all[i] = d.String()
	}
	return all
}
