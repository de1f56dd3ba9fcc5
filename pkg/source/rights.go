package source

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// maxRights bounds how many answers are kept.
const maxRights = 4096

// Rights asks the API server what accounts may do. Only a yes is remembered, and only
// for the time that New was given: whoever is granted a right has it at once, and
// whoever loses one keeps it no longer than that. It is safe for concurrent use.
type Rights struct {
	client client.Client
	trust  time.Duration
	now    func() time.Time
	// locally: see OrLocally.
	locally bool

	mu      sync.Mutex
	granted map[right]time.Time // when the question was asked
}

type right struct {
	account Account
	access  authorizationv1.ResourceAttributes
}

// NewRights returns Rights that believe a yes for trust; 0 asks each time.
func NewRights(c client.Client, trust time.Duration, now func() time.Time) *Rights {
	return &Rights{client: c, trust: trust, now: now, granted: map[right]time.Time{}}
}

// Allowed reports whether an account has the access. Selectors of fields and labels
// are not supported. An error means that it is not known.
func (r *Rights) Allowed(ctx context.Context, account Account, access authorizationv1.ResourceAttributes) (bool, error) {
	access.FieldSelector, access.LabelSelector = nil, nil
	asked, q := r.now(), right{account, access}
	if r.has(q, asked) {
		return true, nil
	}
	status, err := r.review(ctx, authorizationv1.SubjectAccessReviewSpec{User: account.User(), Groups: account.Groups(), ResourceAttributes: &access})
	if err != nil {
		return false, fmt.Errorf("asking whether service account %q of namespace %q may %s: %w", account.Name, account.Namespace, describe(access), err)
	}
	if e := status.EvaluationError; e != "" && !status.Allowed && !status.Denied {
		return false, fmt.Errorf("asking whether service account %q of namespace %q may %s: the API server could not tell: %s", account.Name, account.Namespace, describe(access), e)
	}
	allowed := status.Allowed && !status.Denied
	if allowed {
		r.keep(q, asked)
	}
	return allowed, nil
}

// OrLocally makes Rights ask about one namespace where it may not ask about the whole
// cluster: the administrators of a namespace may. It returns r.
func (r *Rights) OrLocally() *Rights {
	r.locally = true
	return r
}

// review asks the API server.
func (r *Rights) review(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	anywhere := &authorizationv1.SubjectAccessReview{Spec: spec}
	err := r.client.Create(ctx, anywhere)
	if !r.locally || !apierrors.IsForbidden(err) || spec.ResourceAttributes.Namespace == "" {
		return anywhere.Status, err
	}
	here := &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: spec.ResourceAttributes.Namespace}, Spec: spec}
	err = r.client.Create(ctx, here)
	return here.Status, err
}

func describe(a authorizationv1.ResourceAttributes) string {
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	if a.Group != "" {
		resource += "." + a.Group
	}
	words := []string{a.Verb, resource}
	if a.Name != "" {
		words = append(words, fmt.Sprintf("%q", a.Name))
	}
	if a.Namespace != "" {
		words = append(words, fmt.Sprintf("in namespace %q", a.Namespace))
	}
	return strings.Join(words, " ")
}

func (r *Rights) has(q right, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, ok := r.granted[q]
	// A clock that was set back must not make an answer last.
	return ok && !now.Before(asked) && now.Sub(asked) < r.trust
}

func (r *Rights) keep(q right, asked time.Time) {
	if r.trust <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.granted) >= maxRights {
		clear(r.granted) // costs one question for each
	}
	r.granted[q] = asked
}

// Account is a service account.
type Account struct {
	Namespace string
	Name      string
}

// AccountOf returns the account whose rights bound what a trigger sees.
func AccountOf(t *v1alpha1.ImageTrigger) Account {
	return Account{Namespace: t.Namespace, Name: t.ServiceAccountName()}
}

// User returns the name by which the API server knows the account.
func (a Account) User() string { return "system:serviceaccount:" + a.Namespace + ":" + a.Name }

// Groups returns the groups that the API server puts the account in.
func (a Account) Groups() []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + a.Namespace, "system:authenticated"}
}

// String returns namespace/name.
func (a Account) String() string { return a.Namespace + "/" + a.Name }

// GrantImageStreams returns the command that lets the account get the ImageStreams of a
// namespace.
func (a Account) GrantImageStreams(namespace string) string {
	return fmt.Sprintf("kubectl create role imagestream-reader -n %[1]s --verb=get --resource=imagestreams.image.openshift.io && "+
		"kubectl create rolebinding imagestream-reader-%[2]s-%[3]s -n %[1]s --role=imagestream-reader --serviceaccount=%[2]s:%[3]s",
		namespace, a.Namespace, a.Name)
}
