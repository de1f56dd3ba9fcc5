package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// labelNamespace gives a namespace a label of its own value.
func labelNamespace(t *testing.T, name, value string) {
	t.Helper()
	var ns corev1.Namespace
	eventually(t, "namespace "+name+" is labelled", func() error {
		if err := admin(t).Get(t.Context(), client.ObjectKey{Name: name}, &ns); err != nil {
			return err
		}
		metav1.SetMetaDataLabel(&ns.ObjectMeta, "pulled-by", value)
		return admin(t).Update(t.Context(), &ns)
	})
}

// createListenerFor makes a listener whose runs use the service account.
func createListenerFor(t *testing.T, namespace, account string) {
	t.Helper()
	listener := newListener(t, namespace, "name: $(tt.params.run)")
	raw := &listener.Spec.Triggers[0].Template.Spec.ResourceTemplates[0].Raw
	named := strings.Replace(string(*raw), `"taskRunTemplate":{`, `"taskRunTemplate":{"serviceAccountName":"`+account+`",`, 1)
	if named == string(*raw) {
		t.Fatalf("template %s has no taskRunTemplate", named)
	}
	*raw = []byte(named)
	if err := admin(t).Create(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
}

// grantTo lets a subject get a resource of OpenShift's image API in a namespace.
func grantTo(t *testing.T, namespace, name, resource string, subject rbacv1.Subject) {
	t.Helper()
	for _, o := range []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"", "image.openshift.io"}, Resources: []string{resource}, Verbs: []string{"get"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{subject},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// Property: against a real authorizer, a trigger says which right its runs lack in
// another namespace, and stops saying so once the command that it names was followed.
func TestATriggerNamesTheRightToPullThatItsRunsLack(t *testing.T) {
	ownCluster(t)
	own, other := newNamespace(t), newNamespace(t)
	labelNamespace(t, own, own)
	labelNamespace(t, other, own)
	createListenerFor(t, own, "scanner")
	grantTo(t, other, "reader", "imagestreams", rbacv1.Subject{Kind: "ServiceAccount", Namespace: own, Name: "default"})
	if err := admin(t).Create(t.Context(), &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "vet"},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"pulled-by": own}},
			}}},
			Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan"}},
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: "kata"},
		},
	}); err != nil {
		t.Fatal(err)
	}
	type condition struct {
		Status          metav1.ConditionStatus
		Reason, Message string
	}
	expectPull := func(want condition) {
		t.Helper()
		eventually(t, "PullAllowed is "+want.Reason, func() error {
			// A new process, which keeps no answers.
			got := triggerReconciler(t, own)()
			c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionPullAllowed)
			if c == nil {
				return fmt.Errorf("conditions %+v", got.Status.Conditions)
			}
			if diff := cmp.Diff(want, condition{c.Status, c.Reason, c.Message}); diff != "" {
				return fmt.Errorf("condition (-want +got):\n%s", diff)
			}
			return nil
		})
	}
	expectPull(condition{metav1.ConditionFalse, "PullNotAllowed", fmt.Sprintf(
		"the runs' service account \"scanner\" may not pull from namespace %q, so runs of images there fail; "+
			"oc policy add-role-to-user system:image-puller system:serviceaccount:%s:scanner -n %s", other, own, other)})
	// The rule of the role that OpenShift has under that name.
	grantTo(t, other, "image-puller", "imagestreams/layers", rbacv1.Subject{Kind: "ServiceAccount", Namespace: own, Name: "scanner"})
	expectPull(condition{metav1.ConditionTrue, "PullAllowed", "the runs may pull from 1 other namespace"})
}
