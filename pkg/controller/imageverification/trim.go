package imageverification

import (
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Trim returns the informer's transform of ImageVerifications. Most entries of a ledger are at rest:
// of these the cache holds what decides that nothing is to be done, and what the ledger's index and
// gates read, which is a fifth of an entry. A pass that has something to do reads the entry from
// the API server first, and what is trimmed is never written: see [Trimmed]. Other entries, which are
// few, stay whole and share strings.
//
// Pending reports whether an entry has events to send; nil means that none are sent. Other objects
// pass unchanged.
func Trim(pending func(*v1alpha1.ImageVerification) bool) func(any) (any, error) {
	parts := &sharedParts{}
	return func(obj any) (any, error) {
		e, ok := obj.(*v1alpha1.ImageVerification)
		if !ok {
			return obj, nil
		}
		if Trimmed(e) {
			return e, nil // informers transform some objects twice
		}
		if !atRest(e) || (pending != nil && pending(e)) {
			return InternStrings(e)
		}
		return parts.trim(e), nil
	}
}

// trimMark marks what Trim cut. The API server has no such operation, so that no stored entry looks
// like it.
var trimMark = []metav1.ManagedFieldsEntry{{Operation: "Trimmed"}}

// Trimmed reports whether an entry is a cached one that lacks most of its content. It must not be
// written: that would delete what it lacks.
func Trimmed(e *v1alpha1.ImageVerification) bool {
	return len(e.ManagedFields) == 1 && e.ManagedFields[0].Operation == trimMark[0].Operation
}

// atRest reports whether nothing is to be done for an entry, whatever becomes of its trigger and of
// the cluster, until somebody changes the entry.
func atRest(e *v1alpha1.ImageVerification) bool {
	switch e.Phase() {
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped:
	default:
		return false
	}
	if open(e) || e.DeletionTimestamp != nil {
		return false
	}
	// Further runs may follow these ends.
	for i := range e.Status.Runs {
		switch lifecycle.Reason(e.Status.Runs[i].Reason) {
		case lifecycle.Vanished, lifecycle.RunNameTaken, lifecycle.SandboxUnavailable:
			return false
		default:
		}
	}
	return true
}

// sharedParts has the parts that many entries have in common, which is possible as nobody changes what
// is cached. It is safe for concurrent use.
type sharedParts struct {
	types     canon[*v1alpha1.ImageFacts]
	lists     canon[[]string]
	databases canon[*v1alpha1.VerdictDatabase]
}

// trim cuts an entry where it is: a copy beside each would leave holes in memory.
func (s *sharedParts) trim(e *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	r := e.Spec.Repository
	own := joined(e.Name, string(e.UID), e.ResourceVersion, e.Spec.Digest, r.UID, r.Pull)
	name := strings.Clone(r.Name)
	if strings.HasSuffix(r.Pull, r.Name) {
		name = own[5][len(r.Pull)-len(r.Name):]
	}
	e.ObjectMeta = metav1.ObjectMeta{
		Namespace: e.Namespace, Name: own[0], UID: types.UID(own[1]), ResourceVersion: own[2],
		Generation: e.Generation, CreationTimestamp: e.CreationTimestamp, ManagedFields: trimMark,
	}
	e.Spec = v1alpha1.ImageVerificationSpec{
		Trigger: e.Spec.Trigger, Digest: own[3], FirstPush: e.Spec.FirstPush, Requests: e.Spec.Requests,
		Repository: v1alpha1.RepositoryReference{Kind: r.Kind, Name: name, UID: own[4], Pull: own[5], Names: r.Names},
		Image:      s.facts(e.Spec.Image, nil),
	}
	status := v1alpha1.ImageVerificationStatus{
		Phase: e.Status.Phase, Reason: e.Status.Reason, Tags: slices.Clone(e.Status.Tags), MoreTags: e.Status.MoreTags,
		RunCount: e.Status.RunCount, HandledRequests: e.Status.HandledRequests, Verdict: s.verdict(e.Status.Verdict),
	}
	if f := e.Status.Image; f != nil {
		status.Image = s.facts(f, f.Children)
	}
	e.Status = status
	share(&e.Kind, &e.APIVersion, &e.Namespace, &e.Spec.Trigger.Name, &e.Spec.Trigger.UID, &e.Spec.FirstPush.Tag, &e.Status.Reason)
	share(&e.Spec.Repository.Kind)
	share(&e.Spec.FirstPush.Source)
	share(&e.Status.Phase)
	for i := range e.Status.Tags {
		share(&e.Status.Tags[i].Tag)
		share(&e.Status.Tags[i].Source)
	}
	return e
}

// verdict keeps what gates judge by.
func (s *sharedParts) verdict(v *v1alpha1.Verdict) *v1alpha1.Verdict {
	if v == nil {
		return nil
	}
	v.Run, v.PolicyDigest, v.Parts, v.Inventory = "", "", nil, nil
	v.Checks, v.Off, v.Platforms = s.list(v.Checks), s.list(v.Off), s.list(v.Platforms)
	v.Sandbox.Observed = s.list(v.Sandbox.Observed)
	share(&v.Outcome)
	share(&v.Sandbox.Requested)
	if d := v.Database; d != nil {
		key := d.Digest
		if d.AsOf != nil {
			key += d.AsOf.String()
		}
		v.Database = s.databases.get(key, d)
	}
	return v
}

func (s *sharedParts) list(all []string) []string {
	if len(all) == 0 {
		return all
	}
	return s.lists.get(strings.Join(all, "\x00"), all)
}

// facts keeps of an image's facts what it is, and the images in its index.
func (s *sharedParts) facts(f *v1alpha1.ImageFacts, children []v1alpha1.ChildImage) *v1alpha1.ImageFacts {
	switch {
	case f == nil:
		return nil
	case len(children) == 0:
		return s.types.get(f.MediaType, &v1alpha1.ImageFacts{MediaType: f.MediaType})
	}
	t := &v1alpha1.ImageFacts{MediaType: f.MediaType, Children: slices.Clone(children)}
	share(&t.MediaType)
	for i := range t.Children {
		share(&t.Children[i].Platform)
	}
	return t
}

// joined copies strings into one allocation, each of which would be one otherwise.
func joined(parts ...string) []string {
	all := strings.Join(parts, "")
	for i, p := range parts {
		parts[i], all = all[:len(p)], all[len(p):]
	}
	return parts
}

// maxShared bounds how many values are remembered to be shared: whoever writes verdicts chooses them.
const maxShared = 1024

// canon has one copy of values that are equal. The zero value has none.
type canon[V any] struct {
	mu   sync.Mutex
	have map[string]V
}

// get returns the copy that all values of a key share.
func (s *canon[V]) get(key string, v V) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.have[key]; ok {
		return have
	}
	if s.have == nil || len(s.have) >= maxShared {
		s.have = map[string]V{}
	}
	s.have[key] = v
	return v
}
