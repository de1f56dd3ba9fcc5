package receiver

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// authenticator answers reviews: a token is valid for the audiences that stand before its dot. What
// stands between dots after it is the account's namespace.
type authenticator struct {
	client.Client
	err   error
	asked int
}

func (a *authenticator) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	review := obj.(*authenticationv1.TokenReview)
	a.asked++
	audience, rest, found := strings.Cut(review.Spec.Token, ".")
	namespace, _, _ := strings.Cut(rest, ".")
	review.Status.User.Username = "system:serviceaccount:" + namespace + ":sender"
	review.Status.Authenticated = found
	if audience == review.Spec.Audiences[0] {
		review.Status.Audiences = review.Spec.Audiences
	}
	return a.err
}

// With an audience, an event needs a token for it, and whatever else asks the API server few
// questions.
func TestEventsNeedATokenForTheAudience(t *testing.T) {
	now := epoch
	api := &authenticator{}
	h := covering(t, 1, 1)
	send := func(h *Handler, source, authorization string) int {
		body := benchStream()
		r := from(t, source, bytes.NewReader(body), int64(len(body)))
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
			t.Error("answered 401 without WWW-Authenticate")
		}
		return w.Code
	}
	if code := send(h, "10.0.0.1", ""); code != http.StatusAccepted {
		t.Errorf("without an audience answered %d, want 202", code)
	}
	h.Authenticate(NewTokens(api, "revet", func() time.Time { return now }))
	const source = "10.0.0.1"
	for _, test := range []struct {
		name, authorization string
		err                 error
		later               time.Duration
		want, asked         int
	}{
		{"no token", "", nil, 0, 401, 0},
		{"no bearer", "Basic revet.x", nil, 0, 401, 0},
		{"an empty token", "Bearer ", nil, 0, 401, 0},
		{"a token for it", "Bearer revet.x", nil, 0, 202, 1},
		{"the same again", "bearer revet.x", errors.New("away"), tokenTrust - 1, 202, 0},
		{"the same later", "Bearer revet.x", nil, 1, 202, 1},
		{"a token for others", "Bearer api.x", nil, 0, 401, 1},
		{"the same again", "Bearer api.x", nil, 0, 401, 0},
		{"a token of nobody", "Bearer x", nil, 0, 401, 1},
		{"nobody can tell", "Bearer revet.y", errors.New("away"), 0, 503, 1},
		{"that is asked again", "Bearer revet.y", nil, 0, 202, 1},
	} {
		now = now.Add(test.later)
		api.asked, api.err = 0, test.err
		if code := send(h, source, test.authorization); code != test.want || api.asked != test.asked {
			t.Errorf("%s: answered %d after %d questions, want %d after %d", test.name, code, api.asked, test.want, test.asked)
		}
	}
	// Made-up tokens cost the API server few questions, and others nothing.
	api.asked = 0
	for n := range 500 {
		send(h, "10.0.0.66", "Bearer made-up-"+strconv.Itoa(n))
	}
	if api.asked != maxRefusals {
		t.Errorf("made-up tokens cost %d questions, want %d", api.asked, maxRefusals)
	}
	if code := send(h, "10.0.0.66", "Bearer revet.z"); code != http.StatusTooManyRequests {
		t.Errorf("their source was answered %d, want 429", code)
	}
	if code := send(h, source, "Bearer revet.x"); code != http.StatusAccepted {
		t.Errorf("another source was answered %d, want 202", code)
	}
	now = now.Add(time.Minute)
	if code := send(h, "10.0.0.66", "Bearer revet.z"); code != http.StatusAccepted {
		t.Errorf("a minute later their source was answered %d, want 202", code)
	}
	// Neither do they fill the memory.
	for n := range 2 * maxTokens {
		send(h, "10.1."+strconv.Itoa(n/200)+"."+strconv.Itoa(n%200), "Bearer made-up-"+strconv.Itoa(n))
	}
	if n := len(h.tokens.known); n > maxTokens {
		t.Errorf("%d answers are kept, want at most %d", n, maxTokens)
	}
	api.asked = 0
	if code := send(h, "10.0.0.66", "Bearer revet.z"); code != http.StatusAccepted || api.asked != 0 {
		t.Errorf("a valid token was forgotten for made-up ones: answered %d after %d questions", code, api.asked)
	}
}
