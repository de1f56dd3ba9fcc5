package ledger

import (
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Slim is the transform for a cache that only the index reads: of an entry it
// keeps what identifies it and its tags, about a fifth of it, and it shares the
// strings that most entries have in common; sharing one that few have costs more
// than it saves. Other objects pass unchanged.
func Slim(obj any) (any, error) {
	entry, ok := obj.(*v1alpha1.ImageVerification)
	if !ok {
		return obj, nil
	}
	return slim(entry), nil
}

func slim(entry *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{
			Name:            entry.Name,
			Namespace:       intern(entry.Namespace),
			UID:             entry.UID,
			ResourceVersion: entry.ResourceVersion,
		},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{
				Name: intern(entry.Spec.Trigger.Name),
				UID:  intern(entry.Spec.Trigger.UID),
			},
			Repository: v1alpha1.RepositoryReference{
				Kind: v1alpha1.RepositoryKind(intern(string(entry.Spec.Repository.Kind))),
				Name: entry.Spec.Repository.Name,
				UID:  entry.Spec.Repository.UID,
			},
			Digest:    entry.Spec.Digest,
			FirstPush: slimPush(entry.Spec.FirstPush),
		},
		Status: v1alpha1.ImageVerificationStatus{Tags: slimTags(entry.Status.Tags)},
	}
}

func slimTags(tags []v1alpha1.TagStatus) []v1alpha1.TagStatus {
	if len(tags) == 0 {
		return nil
	}
	slim := make([]v1alpha1.TagStatus, 0, len(tags))
	for _, t := range tags {
		slim = append(slim, v1alpha1.TagStatus{PushRecord: slimPush(t.PushRecord), Run: t.Run})
	}
	return slim
}

func slimPush(p v1alpha1.PushRecord) v1alpha1.PushRecord {
	p.Tag = intern(p.Tag)
	p.Source = v1alpha1.PushSource(intern(string(p.Source)))
	return p
}

// intern shares equal strings, for as long as anybody holds one.
func intern(s string) string {
	if s == "" {
		return ""
	}
	return unique.Make(s).Value()
}
