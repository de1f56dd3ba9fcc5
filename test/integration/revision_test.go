package integration

import (
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Somebody with the rights to get and list waits for a revision. The API server selects the
// entries, wherever they say what their image claims, and stores no hostile claim.
func TestWaitForARevision(t *testing.T) {
	t.Setenv("KUBECONFIG", shared.Kubeconfig())
	namespace := newNamespace(t)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	receiver := clientOf(t, account(t, systemNamespace, "receiver"))
	controller := clientOf(t, account(t, systemNamespace, "controller"))
	repository := func(name string) string { return "registry.example.com/" + namespace + "/" + name }
	digest := func(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }
	record := func(name, letter string, spec, status *v1alpha1.ImageFacts) error {
		e := entryOf(namespace, name)
		e.Spec.Repository.Name, e.Spec.Repository.Pull = namespace+"/"+name, repository(name)
		e.Spec.Digest, e.Spec.Image = digest(letter), spec
		if err := receiver.Create(t.Context(), e); err != nil {
			return err
		}
		e.Status = v1alpha1.ImageVerificationStatus{
			Phase: v1alpha1.PhasePassed, Image: status, RunCount: 1,
			Tags:    []v1alpha1.TagStatus{{PushRecord: e.Spec.FirstPush, Run: 1}},
			Verdict: &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: name + "-run", Number: 1, At: metav1.NewTime(time.Now())},
		}
		return controller.Status().Update(t.Context(), e)
	}
	claims := func(revision string) *v1alpha1.ImageFacts { return &v1alpha1.ImageFacts{ClaimedRevision: revision} }
	for _, err := range []error{
		record("api", "a", claims(commit), nil), record("web", "b", nil, claims(commit)), record("worker", "c", claims("1123"), nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := record("hostile", "d", claims(`$(id)`), nil); !apierrors.IsInvalid(err) {
		t.Errorf("a hostile claim is answered with %v", err)
	}
	for field, want := range map[string]string{"spec.image.claimedRevision": "api", "status.image.claimedRevision": "web"} {
		var l v1alpha1.ImageVerificationList
		err := admin(t).List(t.Context(), &l, client.InNamespace(namespace), client.MatchingFields{field: commit})
		if err != nil || len(l.Items) != 1 || l.Items[0].Name != want {
			t.Errorf("by %s, %d entries are selected, %v; want %s", field, len(l.Items), err, want)
		}
	}

	const jane = "jane-who-waits"
	mayList(t, namespace, jane)
	wait := []string{"wait", "-n", namespace, "--as", jane, "--timeout", "10s", "-o", "digests", "--newest", "--revision", commit}
	r := revet(t, append(wait, repository("web"), repository("api"))...)
	if r.status != 0 || r.out != digest("b")+"\n"+digest("a")+"\n" {
		t.Errorf("two images that passed: %+v", r)
	}
	wait = append(wait, "--timeout", "1s", repository("api"), repository("worker"))
	if r := revet(t, wait...); r.status != 2 || r.out != "" || !strings.Contains(r.errOut, repository("worker")+": no image of it claims revision") {
		t.Errorf("an image of another revision: %+v", r)
	}
}

// mayList lets a user get and list what is in the ledger, and nothing else.
func mayList(t *testing.T, namespace, user string) {
	t.Helper()
	for _, o := range []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wait"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"revet.dev"}, Resources: []string{"imageverifications"}, Verbs: []string{"get", "list"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wait"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "wait"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}
