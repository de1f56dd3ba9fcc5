package source

import (
	"context"
	"errors"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reviews answers access reviews as it is told to.
type reviews struct {
	client.Client
	answer authorizationv1.SubjectAccessReviewStatus
	err    error
	asked  int
	last   authorizationv1.SubjectAccessReviewSpec
	// local is the namespace of a local review, and localErr why there is none.
	local    string
	localErr error
}

func (r *reviews) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	r.asked++
	if here, ok := obj.(*authorizationv1.LocalSubjectAccessReview); ok {
		r.last, here.Status = here.Spec, r.answer
		r.local = here.Namespace
		return r.localErr
	}
	review := obj.(*authorizationv1.SubjectAccessReview)
	r.last = review.Spec
	review.Status = r.answer
	return r.err
}

var (
	team     = Account{Namespace: "team", Name: "default"}
	yes      = authorizationv1.SubjectAccessReviewStatus{Allowed: true}
	unsure   = authorizationv1.SubjectAccessReviewStatus{EvaluationError: "webhook is away"}
	errAway  = errors.New("away")
	noon     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	getApp   = authorizationv1.ResourceAttributes{Verb: "get", Group: "image.openshift.io", Resource: "imagestreams", Namespace: "team", Name: "app"}
	getOther = authorizationv1.ResourceAttributes{Verb: "get", Group: "image.openshift.io", Resource: "imagestreams", Namespace: "team", Name: "other"}
	pullApp  = authorizationv1.ResourceAttributes{Verb: "get", Group: "image.openshift.io", Resource: "imagestreams", Subresource: "layers", Namespace: "team", Name: "app"}
)

// An authorizer that could not decide has not said no.
func TestAnAnswerThatCouldNotBeGivenIsAnError(t *testing.T) {
	rights := NewRights(&reviews{answer: unsure}, 0, time.Now)
	if allowed, err := rights.Allowed(t.Context(), team, getApp); err == nil || allowed {
		t.Errorf("answered %t, %v; want an error", allowed, err)
	}
}

func TestAnAccountIsAskedForAsItsTokensShowIt(t *testing.T) {
	c := &reviews{answer: yes}
	if _, err := NewRights(c, 0, time.Now).Allowed(t.Context(), team, getApp); err != nil {
		t.Fatal(err)
	}
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"}
	if c.last.User != "system:serviceaccount:team:default" || len(c.last.Groups) != len(groups) {
		t.Errorf("asked for %q of %q, want the user and groups of a token", c.last.User, c.last.Groups)
	}
}

// The administrator of a namespace may ask about it, and not about the cluster.
func TestWhoMayNotAskAboutTheClusterAsksAboutTheNamespace(t *testing.T) {
	forbidden := apierrors.NewForbidden(authorizationv1.Resource("subjectaccessreviews"), "", errors.New("no"))
	everywhere := getApp
	everywhere.Namespace = ""
	for _, test := range []struct {
		name    string
		rights  func(*Rights) *Rights
		review  reviews
		access  authorizationv1.ResourceAttributes
		local   string
		wantErr bool
	}{
		{"it may", (*Rights).OrLocally, reviews{answer: yes, err: forbidden}, getApp, "team", false},
		{"it may not ask there either", (*Rights).OrLocally, reviews{answer: yes, err: forbidden, localErr: forbidden}, getApp, "team", true},
		{"about all namespaces nobody else answers", (*Rights).OrLocally, reviews{answer: yes, err: forbidden}, everywhere, "", true},
		{"another error is no reason", (*Rights).OrLocally, reviews{answer: yes, err: errAway}, getApp, "", true},
		{"it was not told to", func(r *Rights) *Rights { return r }, reviews{answer: yes, err: forbidden}, getApp, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			allowed, err := test.rights(NewRights(&test.review, 0, time.Now)).Allowed(t.Context(), team, test.access)
			if allowed == test.wantErr || (err != nil) != test.wantErr || test.review.local != test.local {
				t.Errorf("answered %t, %v, locally in %q; want an error: %t, locally in %q", allowed, err, test.review.local, test.wantErr, test.local)
			}
		})
	}
}
