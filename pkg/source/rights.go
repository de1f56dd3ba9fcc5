package source

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// askTimeout bounds one question, for which others may wait too.
const askTimeout = 5 * time.Second

// Rights asks the API server what accounts may do. With a trust it remembers both yes and no for
// so long, except that a no about an account's own namespace is believed for a second: see
// answers. It asks each question once at a time, however many wait for the answer, and the
// widest question first. It is safe for concurrent use.
type Rights struct {
	client client.Client
	trust  time.Duration
	now    func() time.Time
	// locally: see OrLocally.
	locally bool

	mu      sync.Mutex
	answers answers
	asking  map[right]*asking
}

type right struct {
	account Account
	access  authorizationv1.ResourceAttributes
}

// asking is a question that is under way. The rest is set when done is closed.
type asking struct {
	done    chan struct{}
	allowed bool
	err     error
}

// NewRights returns Rights that believe an answer for trust; 0 asks each time, and the very
// question only.
func NewRights(c client.Client, trust time.Duration, now func() time.Time) *Rights {
	return &Rights{client: c, trust: trust, now: now, answers: answers{of: map[string]map[right]answer{}}, asking: map[right]*asking{}}
}

// Allowed reports whether an account has the access. Selectors of fields and labels
// are not supported. An error means that it is not known.
func (r *Rights) Allowed(ctx context.Context, account Account, access authorizationv1.ResourceAttributes) (bool, error) {
	access.FieldSelector, access.LabelSelector = nil, nil
	if r.trust <= 0 {
		return r.ask(ctx, right{account, access})
	}
	if allowed, known := r.Remembered(account, access); known {
		return allowed, nil
	}
	for _, wider := range questions(account, access) {
		allowed, err := r.once(ctx, right{account, wider})
		if err != nil || allowed {
			return allowed, err
		}
	}
	return false, nil
}

// Remembered returns what Allowed would without a question; known is false if it would ask.
func (r *Rights) Remembered(account Account, access authorizationv1.ResourceAttributes) (allowed, known bool) {
	access.FieldSelector, access.LabelSelector = nil, nil
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	known = true
	for _, wider := range questions(account, access) {
		a, k := r.answers.believed(right{account, wider}, now, r.trust)
		if a && k {
			return true, true
		}
		known = known && k
	}
	return false, known
}

// once returns what is remembered, or asks unless somebody asks already.
func (r *Rights) once(ctx context.Context, q right) (bool, error) {
	asked := r.now()
	r.mu.Lock()
	if allowed, known := r.answers.believed(q, asked, r.trust); known {
		r.mu.Unlock()
		return allowed, nil
	}
	a := r.asking[q]
	if a == nil {
		a = &asking{done: make(chan struct{})}
		r.asking[q] = a
		// Others may wait for the answer when whoever asked first does no longer.
		go r.answer(context.WithoutCancel(ctx), q, asked, a)
	}
	r.mu.Unlock()
	select {
	case <-a.done:
		return a.allowed, a.err
	case <-ctx.Done():
		return false, fmt.Errorf("waiting whether %s: %w", q, ctx.Err())
	}
}

// answer asks a question for all that wait.
func (r *Rights) answer(ctx context.Context, q right, asked time.Time, a *asking) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	defer func() {
		// Nobody else recovers here, and it would end the process.
		if p := recover(); p != nil {
			a.allowed, a.err = false, fmt.Errorf("asking whether %s: panic: %v\n%s", q, p, debug.Stack())
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.asking, q)
		if a.err == nil {
			r.answers.keep(q, answer{a.allowed, asked})
		}
		close(a.done)
	}()
	a.allowed, a.err = r.ask(ctx, q)
}

// ask asks the API server.
func (r *Rights) ask(ctx context.Context, q right) (bool, error) {
	status, err := r.review(ctx, authorizationv1.SubjectAccessReviewSpec{User: q.account.User(), Groups: q.account.Groups(), ResourceAttributes: &q.access})
	if err != nil {
		return false, fmt.Errorf("asking whether %s: %w", q, err)
	}
	if e := status.EvaluationError; e != "" && !status.Allowed && !status.Denied {
		return false, fmt.Errorf("asking whether %s: the API server could not tell: %s", q, e)
	}
	return status.Allowed && !status.Denied, nil
}

// String is the question in words, after "whether".
func (q right) String() string {
	return fmt.Sprintf("service account %q of namespace %q may %s", q.account.Name, q.account.Namespace, describe(q.access))
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
