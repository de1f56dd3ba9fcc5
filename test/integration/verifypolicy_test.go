package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
)

// userWith is a user with cluster roles in a namespace.
func userWith(t *testing.T, namespace, user string, roles ...string) client.Client {
	t.Helper()
	for _, role := range roles {
		err := admin(t).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := clusterOf(t).UserConfig(user, "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, config)
}

// manualEntry is an entry as "kubectl revet verify" makes it.
func manualEntry(t *testing.T, trigger *v1alpha1.ImageTrigger, name string) *v1alpha1.ImageVerification {
	t.Helper()
	ref, err := image.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.NewManual(trigger, ref, "", "jane-1", time.Now())
}

// Who may create entries may have a digest verified that nobody pushed, and nothing else:
// an entry that differs in any point is refused.
func TestPeopleMayRecordADigestAndNothingElse(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	if err := admin(t).Create(t.Context(), triggerOf(t, namespace, "vet", "{images: [{imageStreams: {}}], sink: {ref: {name: scan}}}")); err != nil {
		t.Fatal(err)
	}
	trigger := triggerNamed(t, namespace, "vet")
	good := func() *v1alpha1.ImageVerification {
		return manualEntry(t, trigger, "docker.io/library/nginx@sha256:"+strings.Repeat("a", 64))
	}
	replayer := userWith(t, namespace, "replayer", "revet-replay")
	editor := userWith(t, namespace, "editor", "edit", "revet-edit")
	eventually(t, "the roles and the policy are in force", func() error {
		forged := good()
		forged.Spec.FirstPush.Source = v1alpha1.SourceEvent
		if err := replayer.Create(t.Context(), forged, client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "revet-ledger") {
			return fmt.Errorf("a push: %w", err)
		}
		if err := replayer.Create(t.Context(), good(), client.DryRunAll); err != nil {
			return err
		}
		return editor.Create(t.Context(), triggerOf(t, namespace, "other", "{images: [{imageStreams: {}}], sink: {ref: {name: scan}}}"))
	})
	if err := editor.Create(t.Context(), good(), client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot create resource") {
		t.Errorf("edit alone: %v, want a refusal by RBAC", err)
	}
	for name, change := range map[string]func(*v1alpha1.ImageVerification){
		"a push":                         func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Source = v1alpha1.SourceEvent },
		"a push by a webhook":            func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Source = v1alpha1.SourceWebhook },
		"what was there before":          func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Source = v1alpha1.SourceExisting },
		"what is no tag":                 func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Tag = "a b" },
		"a sequence":                     func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Sequence = 1 },
		"a push of long ago":             func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.PushedAt.Time = time.Unix(0, 0) },
		"a push to come":                 func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.PushedAt.Time = time.Now().Add(time.Hour) },
		"seen long ago":                  func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.ObservedAt.Time = time.Unix(0, 0) },
		"to be seen":                     func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.ObservedAt.Time = time.Now().Add(time.Hour) },
		"no request":                     func(e *v1alpha1.ImageVerification) { e.Spec.Requests = nil },
		"an empty request":               func(e *v1alpha1.ImageVerification) { e.Spec.Requests = []string{""} },
		"two requests":                   func(e *v1alpha1.ImageVerification) { e.Spec.Requests = []string{"a", "b"} },
		"facts of the image":             func(e *v1alpha1.ImageVerification) { e.Spec.Image = &v1alpha1.ImageFacts{Size: 1} },
		"an ImageStream":                 func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Kind = v1alpha1.RepositoryImageStream },
		"an incarnation":                 func(e *v1alpha1.ImageVerification) { e.Spec.Repository.UID = "u1" },
		"another place to pull":          func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Pull = "evil.example.com/library/nginx" },
		"no host":                        func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Name, e.Spec.Repository.Pull = "nginx", "nginx" },
		"a reference":                    func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Name += ":1"; e.Spec.Repository.Pull += ":1" },
		"another kind of name":           func(e *v1alpha1.ImageVerification) { e.Name = "nginx" },
		"a longer name":                  func(e *v1alpha1.ImageVerification) { e.Name = "x" + strings.Repeat("y", 30) + e.Name[len("nginx"):] },
		"no label":                       func(e *v1alpha1.ImageVerification) { e.Labels = nil },
		"another trigger's label":        func(e *v1alpha1.ImageVerification) { e.Labels[v1alpha1.TriggerUIDLabel] = "another" },
		"a label of its own":             func(e *v1alpha1.ImageVerification) { e.Labels["team"] = "a" },
		"an annotation":                  func(e *v1alpha1.ImageVerification) { e.Annotations = map[string]string{"a": "b"} },
		"a finalizer, which would stay":  func(e *v1alpha1.ImageVerification) { e.Finalizers = []string{"example.com/stay"} },
		"an owner, with whom it is gone": func(e *v1alpha1.ImageVerification) { e.OwnerReferences = owner(trigger) },
	} {
		t.Run(name, func(t *testing.T) {
			e := good()
			change(e)
			if err := replayer.Create(t.Context(), e, client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "revet-ledger") {
				t.Errorf("the answer was %v, want a refusal by the policy", err)
			}
		})
	}
	refusesVerdictsOf(t, replayer, good(), trigger)
}

func owner(trigger *v1alpha1.ImageTrigger) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ImageTrigger", Name: trigger.Name, UID: trigger.UID}}
}

// refusesVerdictsOf creates an entry with a verdict, which the API server drops, and tries
// to change what was created.
func refusesVerdictsOf(t *testing.T, replayer client.Client, e *v1alpha1.ImageVerification, trigger *v1alpha1.ImageTrigger) {
	t.Helper()
	passed := func(e *v1alpha1.ImageVerification) {
		e.Status.Phase = v1alpha1.PhasePassed
		e.Status.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "run-1", At: metav1.Now()}
	}
	passed(e)
	if err := replayer.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if e.Status.Phase != "" || e.Status.Verdict != nil {
		t.Errorf("the entry was created with the status %+v", e.Status)
	}
	for name, attempt := range map[string]func(*v1alpha1.ImageVerification) error{
		"a verdict": func(e *v1alpha1.ImageVerification) error { passed(e); return replayer.Status().Update(t.Context(), e) },
		"an owner": func(e *v1alpha1.ImageVerification) error {
			e.OwnerReferences = owner(trigger)
			return replayer.Update(t.Context(), e)
		},
		"a finalizer": func(e *v1alpha1.ImageVerification) error {
			e.Finalizers = []string{"example.com/stay"}
			return replayer.Update(t.Context(), e)
		},
		"a verdict, by who may write any status": func(e *v1alpha1.ImageVerification) error {
			passed(e)
			return admin(t).Status().Update(t.Context(), e)
		},
		"its end": func(e *v1alpha1.ImageVerification) error { return replayer.Delete(t.Context(), e) },
	} {
		if err := attempt(e.DeepCopy()); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	var unlike v1alpha1.ImageVerification
	if err := replayer.Get(t.Context(), client.ObjectKeyFromObject(e), &unlike); err != nil {
		t.Fatal(errors.Join(errors.New("reading the entry"), err))
	}
	if unlike.Status.Verdict != nil || len(unlike.OwnerReferences) != 0 {
		t.Errorf("the entry is %+v", unlike)
	}
}
