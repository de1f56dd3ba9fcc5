package imageverification

import (
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// InternStrings makes entries share the strings that many of them have in common, which
// are most of what a cache of thousands of entries holds, and drops managedFields.
// Nothing else changes, because entries are written as they are cached. It is an
// informer's transform; other objects pass unchanged.
func InternStrings(obj any) (any, error) {
	e, ok := obj.(*v1alpha1.ImageVerification)
	if !ok {
		return obj, nil
	}
	e.ManagedFields = nil
	share(&e.Kind, &e.APIVersion, &e.Namespace)
	for k, v := range e.Labels {
		key, value := k, v
		share(&key, &value)
		delete(e.Labels, k)
		e.Labels[key] = value
	}
	share(&e.Spec.Trigger.Name, &e.Spec.Trigger.UID, &e.Spec.Repository.Name, &e.Spec.Repository.UID, &e.Spec.Repository.Pull)
	share(&e.Spec.Repository.Kind)
	share(&e.Spec.FirstPush.Source)
	share(&e.Spec.FirstPush.Tag, &e.Status.Reason, &e.Status.Message, &e.Status.TagNames)
	share(&e.Status.Phase)
	for i := range e.Status.Tags {
		share(&e.Status.Tags[i].Tag)
		share(&e.Status.Tags[i].Source)
	}
	for i := range e.Status.Conditions {
		internCondition(&e.Status.Conditions[i])
	}
	for i := range e.Status.Runs {
		internRun(&e.Status.Runs[i])
	}
	for _, f := range []*v1alpha1.ImageFacts{e.Spec.Image, e.Status.Image} {
		if f == nil {
			continue
		}
		share(&f.MediaType, &f.Source, &f.Base, &f.ClaimedRevision)
		share(&f.RevisionIgnored)
		for i := range f.Platforms {
			share(&f.Platforms[i])
		}
		for i := range f.Children {
			share(&f.Children[i].Platform)
		}
	}
	for i := range e.Status.Emitted {
		share(&e.Status.Emitted[i])
	}
	internVerdict(e.Status.Verdict)
	return e, nil
}

func internVerdict(v *v1alpha1.Verdict) {
	if v == nil {
		return
	}
	share(&v.Outcome)
	share(&v.Run, &v.PolicyDigest, &v.Sandbox.Requested)
	for k, part := range v.Parts {
		key, value := k, part
		share(&key, &value)
		delete(v.Parts, k)
		v.Parts[key] = value
	}
	if v.Database != nil {
		share(&v.Database.Digest)
	}
	for _, all := range [][]string{v.Checks, v.Off, v.Platforms, v.Sandbox.Observed} {
		for i := range all {
			share(&all[i])
		}
	}
}

func internCondition(c *metav1.Condition) {
	share(&c.Type, &c.Reason, &c.Message)
	share(&c.Status)
}

func internRun(r *v1alpha1.RunStatus) {
	share(&r.Name, &r.Cause.Key, &r.Reason, &r.Message, &r.Digest, &r.Summary, &r.Sandbox.Requested, &r.Sandbox.RouteMessage, &r.Sandbox.Node)
	share(&r.Cause.Type)
	share(&r.Sandbox.Route)
	share(&r.Outcome)
	for i := range r.Sandbox.Observed {
		share(&r.Sandbox.Observed[i])
	}
	for i := range r.Off {
		share(&r.Off[i])
	}
}

// share replaces each string by the one copy that all equal strings share.
func share[S ~string](all ...*S) {
	for _, s := range all {
		if *s != "" {
			*s = S(unique.Make(string(*s)).Value())
		}
	}
}
