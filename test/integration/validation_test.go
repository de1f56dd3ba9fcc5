package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// triggerOf makes an ImageTrigger of a spec as a user writes it.
func triggerOf(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("apiVersion: revet.dev/v1alpha1\nkind: ImageTrigger\nspec: "+spec), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// A trigger that cannot mean anything is refused when it is applied, with the
// field that is wrong.
func TestNonsenseTriggersAreRefused(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	// As kubectl asks for unless it is told otherwise.
	strict := client.WithFieldValidation(admin(t), metav1.FieldValidationStrict)
	const streams, sink = "images: [{imageStreams: {}}]", "sink: {ref: {name: scan}}"
	for _, test := range []struct{ name, spec, want string }{
		{"a field that does not exist", "{" + streams + ", " + sink + ", imagse: []}", `unknown field "spec.imagse"`},
		{"a field that does not exist, deep down", "{images: [{imageStreams: {name: web}}], " + sink + "}", `unknown field "spec.images[0].imageStreams.name"`},
		{"no images", "{" + sink + "}", "spec.images: Required value"},
		{"an empty list of images", "{images: [], " + sink + "}", "spec.images: Invalid value: 0: spec.images in body should have at least 1 items"},
		{"an image that selects nothing", "{images: [{}], " + sink + "}", "spec.images[0]: Invalid value: set exactly one of imageStreams and repository"},
		{"an image that selects both", "{images: [{imageStreams: {}, repository: registry.example.com/team/**}], " + sink + "}", "spec.images[0]: Invalid value: set exactly one of imageStreams and repository"},
		{"a repository with a scheme", "{images: [{repository: 'https://registry.example.com/team'}], " + sink + "}", "spec.images[0].repository: Invalid value"},
		{"a repository without a path", "{images: [{repository: registry.example.com}], " + sink + "}", "spec.images[0].repository: Invalid value"},
		{"a repository with a tag", "{images: [{repository: 'registry.example.com/team/app:v1'}], " + sink + "}", "spec.images[0].repository: Invalid value"},
		{"a stream's name in capitals", "{images: [{imageStreams: {names: [Web]}}], " + sink + "}", "spec.images[0].imageStreams.names[0]: Invalid value"},
		{"a tag with a slash", "{images: [{imageStreams: {}, tags: {include: [a/b]}}], " + sink + "}", "spec.images[0].tags.include[0]: Invalid value"},
		{"more labels than a selector may have", "{images: [{imageStreams: {namespaceSelector: {matchLabels: {l0: a, l1: a, l2: a, l3: a, l4: a, l5: a, l6: a, l7: a, l8: a, l9: a, l10: a, l11: a, l12: a, l13: a, l14: a, l15: a, l16: a}}}}], " + sink + "}", "at most 16 labels and expressions"},
		{"no sink", "{" + streams + "}", "spec.sink: Required value"},
		{"a sink that names nothing", "{" + streams + ", sink: {}}", "spec.sink: Invalid value: set exactly one of ref and uri"},
		{"a sink with both", "{" + streams + ", sink: {ref: {name: scan}, uri: 'http://scan.example.com'}}", "spec.sink: Invalid value: set exactly one of ref and uri"},
		{"a sink's reference without a name", "{" + streams + ", sink: {ref: {kind: EventListener}}}", "spec.sink.ref.name: Required value"},
		{"a sink's uri without http", "{" + streams + ", sink: {uri: scan.example.com}}", "spec.sink.uri: Invalid value"},
		{"a sink's uri of another scheme", "{" + streams + ", sink: {uri: 'ftp://scan.example.com'}}", "spec.sink.uri: Invalid value"},
		{"a sink's uri with a password", "{" + streams + ", sink: {uri: 'http://me:secret@scan.example.com'}}", "spec.sink.uri: Invalid value"},
		{"no run at once", "{" + streams + ", " + sink + ", maxConcurrent: 0}", "spec.maxConcurrent: Invalid value: 0"},
		{"too many runs at once", "{" + streams + ", " + sink + ", maxConcurrent: 1001}", "spec.maxConcurrent: Invalid value: 1001"},
		{"a number of runs in words", "{" + streams + ", " + sink + ", maxConcurrent: many}", "spec.maxConcurrent: Invalid value"},
		{"a negative freshness", "{" + streams + ", " + sink + ", freshness: -1h}", `spec.freshness: Invalid value: "-1h": freshness must not be negative; 0s means that every push runs`},
		{"a freshness that is no duration", "{" + streams + ", " + sink + ", freshness: tomorrow}", "spec.freshness: Invalid value"},
		{"another word for existing", "{" + streams + ", " + sink + ", existing: Maybe}", `spec.existing: Unsupported value: "Maybe": supported values: "Ignore", "Verify"`},
		{"a runtime class in capitals", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: Kata_QEMU}}", "spec.sandbox.runtimeClassName: Invalid value"},
		{"a weight of more than all", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, weight: 101}}", "spec.sandbox.weight: Invalid value: 101"},
		{"a weight of no class", "{" + streams + ", " + sink + ", sandbox: {weight: 30}}", "weight, exclude and fallback speak of a class: set runtimeClassName"},
		{"a fallback of no class", "{" + streams + ", " + sink + ", sandbox: {fallback: Default}}", "weight, exclude and fallback speak of a class: set runtimeClassName"},
		{"another word for fallback", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, fallback: Maybe}}", `spec.sandbox.fallback: Unsupported value: "Maybe"`},
		{"an exclusion without a reason", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, exclude: [{images: a/b}]}}", "spec.sandbox.exclude[0].reason: Required value"},
		{"two labels of nodes", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, nodeSelector: {a: b, c: d}}}", "spec.sandbox.nodeSelector: Too many: 2"},
		{"a label that no node can have", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, nodeSelector: {'$(tt.params.run)': b}}}", "nodeSelector takes the key of a label"},
		{"a value that no label can have", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, nodeSelector: {a: '$(tt.params.run)'}}}", "spec.sandbox.nodeSelector.a: Invalid value"},
		{"a toleration of everything by a value", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, tolerations: [{value: b, effect: NoSchedule}]}}", "a toleration without a key has operator Exists"},
		{"a time to start that is none", "{" + streams + ", " + sink + ", sandbox: {runtimeClassName: kata, startTimeout: 1s}}", "startTimeout must be at least 10s"},
		{"a service account in capitals", "{" + streams + ", " + sink + ", serviceAccountName: Me}", "spec.serviceAccountName: Invalid value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := strict.Create(t.Context(), triggerOf(t, namespace, "nonsense", test.spec))
			if err == nil {
				t.Fatalf("it was created, want a refusal that says %q", test.want)
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("refused with %q, want %q", err, test.want)
			}
		})
	}
	small := triggerOf(t, namespace, "smallest", "{"+streams+", "+sink+"}")
	if err := strict.Create(t.Context(), small); err != nil {
		t.Fatalf("the smallest trigger was refused: %v", err)
	}
	got := triggerNamed(t, namespace, "smallest").Spec
	if got.Freshness == nil || got.Freshness.Duration != 24*time.Hour || got.MaxConcurrent != 10 ||
		got.Existing != v1alpha1.ExistingIgnore || got.ServiceAccountName != "default" || got.Sink.Ref.Kind != "EventListener" {
		t.Errorf("defaults of the smallest trigger: %+v", got)
	}
}

// What only compiling a filter tells is told by the trigger's conditions.
func TestTriggersFilterIsTold(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	spec := "{images: [{imageStreams: {}}], sink: {ref: {name: scan}}, filter: \"image.lables['tier'] == 'prod'\"}"
	if err := admin(t).Create(t.Context(), triggerOf(t, namespace, "vet", spec)); err != nil {
		t.Fatal(err)
	}
	pass := triggerReconciler(t, namespace)
	expect(t, pass, metav1.ConditionFalse, "FilterInvalid", "spec.filter: ")
	expect(t, pass, metav1.ConditionFalse, "FilterInvalid", "lables")
	mended := triggerNamed(t, namespace, "vet")
	mended.Spec.Filter = "image.labels['tier'] == 'prod'"
	if err := admin(t).Update(t.Context(), mended); err != nil {
		t.Fatal(err)
	}
	expect(t, pass, metav1.ConditionFalse, "SinkNotFound", `EventListener "scan"`)
}

// ledgerEditor is a user whom RBAC lets do anything to a namespace's ledger and
// triggers, so that nothing but Revet's own policy refuses.
func ledgerEditor(t *testing.T, namespace string) client.Client {
	t.Helper()
	c := admin(t)
	for _, o := range []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ledger-editor"},
			Rules: []rbacv1.PolicyRule{{
				APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"*"},
			}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ledger-editor"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "ledger-editor"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "jane"}},
		},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	config, err := clusterOf(t).UserConfig("jane", "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, config)
}

// entryOf makes an entry as the receiver records it.
func entryOf(namespace, name string) *v1alpha1.ImageVerification {
	now := metav1.Now()
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "vet", UID: "b4a7"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: namespace + "/web", UID: "c0de", Pull: "registry.example.com/" + namespace + "/web"},
			Digest:     "sha256:" + strings.Repeat("a", 64),
			FirstPush:  v1alpha1.PushRecord{Tag: "v1", PushedAt: now, ObservedAt: metav1.NowMicro(), Source: v1alpha1.SourceEvent},
		},
	}
}

// Nobody but Revet writes the ledger, whatever RBAC lets them do; anybody who may
// update an entry may ask for another run.
func TestOnlyRevetWritesTheLedger(t *testing.T) {
	ownCluster(t)
	const policy = "the ledger is written by Revet's own service accounts only"
	namespace := newNamespace(t)
	key := client.ObjectKey{Namespace: namespace, Name: "web-1"}
	jane := ledgerEditor(t, namespace)
	receiver := clientOf(t, account(t, systemNamespace, "receiver"))
	eventually(t, "jane may write what RBAC lets her", func() error {
		return jane.Create(t.Context(), triggerOf(t, namespace, "vet", "{images: [{imageStreams: {}}], sink: {ref: {name: scan}}}"))
	})
	recorded := entryOf(namespace, key.Name)
	recorded.Spec.Requests = []string{"of-others", "of-more"}
	recorded.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: "gone"}}
	if err := receiver.Create(t.Context(), recorded); err != nil {
		t.Fatalf("the receiver could not record an entry: %v", err)
	}
	// update changes the entry as it is now, and so the object that is refused is otherwise good.
	update := func(change func(*v1alpha1.ImageVerification)) func(client.Client) error {
		return func(c client.Client) error {
			var e v1alpha1.ImageVerification
			if err := c.Get(t.Context(), key, &e); err != nil {
				return err
			}
			change(&e)
			return c.Update(t.Context(), &e)
		}
	}
	const immutable = "trigger, repository, digest, firstPush and image are immutable"
	for _, test := range []struct {
		name    string
		attempt func(client.Client) error
		refused func(error) bool
		want    string
	}{
		{"creating an entry", func(c client.Client) error { return c.Create(t.Context(), entryOf(namespace, "forged")) }, apierrors.IsForbidden, policy},
		{"writing a verdict", func(c client.Client) error {
			var e v1alpha1.ImageVerification
			if err := c.Get(t.Context(), key, &e); err != nil {
				return err
			}
			e.Status.Phase = v1alpha1.PhasePassed
			return c.Status().Update(t.Context(), &e)
		}, apierrors.IsForbidden, policy},
		{"writing a trigger's status", func(c client.Client) error {
			trigger := triggerNamed(t, namespace, "vet")
			trigger.Status.SinkURI = "http://elsewhere.example.com"
			return c.Status().Update(t.Context(), trigger)
		}, apierrors.IsForbidden, policy},
		{"moving an entry with a label", update(func(e *v1alpha1.ImageVerification) { e.Labels = map[string]string{"revet.dev/trigger": "b4a7"} }), apierrors.IsForbidden, policy},
		{"a note on an entry", update(func(e *v1alpha1.ImageVerification) { e.Annotations = map[string]string{"note": "mine"} }), apierrors.IsForbidden, policy},
		{"an owner that takes it along", update(func(e *v1alpha1.ImageVerification) {
			e.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "other"}}
		}), apierrors.IsForbidden, policy},
		{"a finalizer", update(func(e *v1alpha1.ImageVerification) { e.Finalizers = []string{"example.com/stay"} }), apierrors.IsForbidden, policy},
		{"no request of others", update(func(e *v1alpha1.ImageVerification) { e.Spec.Requests = nil }), apierrors.IsForbidden, policy},
		{"another request for that of others", update(func(e *v1alpha1.ImageVerification) { e.Spec.Requests = []string{"mine"} }), apierrors.IsForbidden, policy},
		{"another order of requests", update(func(e *v1alpha1.ImageVerification) { slices.Reverse(e.Spec.Requests) }), apierrors.IsForbidden, policy},
		{"another digest", update(func(e *v1alpha1.ImageVerification) { e.Spec.Digest = "sha256:" + strings.Repeat("b", 64) }), apierrors.IsInvalid, immutable},
		{"another trigger", update(func(e *v1alpha1.ImageVerification) { e.Spec.Trigger.UID = "other" }), apierrors.IsInvalid, immutable},
		{"another repository", update(func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Pull = "elsewhere.example.com/web" }), apierrors.IsInvalid, immutable},
		{"facts where there were none", update(func(e *v1alpha1.ImageVerification) { e.Spec.Image = &v1alpha1.ImageFacts{Size: 1} }), apierrors.IsInvalid, immutable},
		{"another first push", update(func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Tag = "v2" }), apierrors.IsInvalid, immutable},
	} {
		for _, who := range []struct {
			name   string
			client client.Client
		}{{"the administrator", admin(t)}, {"a user whom RBAC lets", jane}} {
			t.Run(test.name+" by "+who.name, func(t *testing.T) {
				if err := test.attempt(who.client); !test.refused(err) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("the answer was %v, want a refusal that says %q", err, test.want)
				}
			})
		}
	}
	ask := func(id string) func(client.Client) error {
		return update(func(e *v1alpha1.ImageVerification) { e.Spec.Requests = append(e.Spec.Requests, id) })
	}
	if err := ask("after-the-fix")(jane); err != nil {
		t.Errorf("jane could not ask for another run: %v", err)
	}
	if err := ask("once-more")(admin(t)); err != nil {
		t.Errorf("the administrator could not ask for another run: %v", err)
	}
	var e v1alpha1.ImageVerification
	if err := receiver.Get(t.Context(), key, &e); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(e.Spec.Requests, " "); got != "of-others of-more after-the-fix once-more" || e.Status.Phase != "" {
		t.Errorf("requests %q, phase %q", got, e.Status.Phase)
	}
	e.Status.Phase, e.Status.HandledRequests = v1alpha1.PhasePending, []string{"of-others"}
	if err := receiver.Status().Update(t.Context(), &e); err != nil {
		t.Errorf("the receiver could not write the status: %v", err)
	}
	if err := update(func(e *v1alpha1.ImageVerification) { e.Spec.Requests = append(e.Spec.Requests[1:], "later") })(jane); err != nil {
		t.Errorf("jane could not drop a request that had its run: %v", err)
	}
	collector := clientOf(t, account(t, "kube-system", "generic-garbage-collector"))
	if err := update(func(e *v1alpha1.ImageVerification) { e.Spec.Requests = nil })(collector); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), policy) {
		t.Errorf("an account of kube-system dropped requests: %v", err)
	}
	if err := update(func(e *v1alpha1.ImageVerification) { e.OwnerReferences = nil })(collector); err != nil {
		t.Errorf("the garbage collector could not remove an owner: %v", err)
	}
}
