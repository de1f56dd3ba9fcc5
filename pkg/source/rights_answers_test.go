package source

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// grants answers access reviews by what was granted, and lists the questions.
type grants struct {
	client.Client
	mu      sync.Mutex
	granted map[string]bool // as "namespace/name", each of which may be *
	denied  bool
	err     error
	asked   []string
	// hold keeps each answer back until it is closed, if it is not nil.
	hold chan struct{}
}

func (g *grants) Create(ctx context.Context, obj client.Object, _ ...client.CreateOption) error {
	review := obj.(*authorizationv1.SubjectAccessReview)
	a := review.Spec.ResourceAttributes
	star := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	g.mu.Lock()
	question := star(a.Namespace) + "/" + star(a.Name)
	if a.Subresource != "" {
		question += " " + a.Subresource
	}
	g.asked = append(g.asked, question)
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: g.granted[question], Denied: g.denied}
	err, hold := g.err, g.hold
	g.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// take returns the questions since it was last called.
func (g *grants) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

func granting(what ...string) *grants {
	g := &grants{granted: map[string]bool{}}
	for _, w := range what {
		g.granted[w] = true
	}
	return g
}

// A yes and a no are believed for a while; a no about the own namespace hardly. A right that was
// taken away must not last, and whoever grants one in the own namespace has it at once.
func TestAnswersAreBelievedAndNotForLong(t *testing.T) {
	const trust = 10 * time.Second
	getThere := getApp
	getThere.Namespace = "there"
	for _, test := range []struct {
		name           string
		before, after  *grants
		later          time.Duration
		first, access  authorizationv1.ResourceAttributes
		want           bool
		wantErr        bool
		asked, askedIn []string // first, and then
	}{
		{"a yes is believed for a while", granting("team/app"), granting(), trust - 1, getApp, getApp, true, false, []string{"team/*", "team/app"}, nil},
		{"and not for longer", granting("team/app"), granting(), trust, getApp, getApp, false, false, []string{"team/*", "team/app"}, []string{"team/*", "team/app"}},
		{"nor when the clock was set back", granting("team/*"), granting(), -time.Second, getApp, getApp, false, false, []string{"team/*"}, []string{"team/*", "team/app"}},
		{"a yes about one object is none about others", granting("team/app"), granting(), 0, getApp, getOther, false, false, []string{"team/*", "team/app"}, []string{"team/other"}},
		{"a yes about all is one about each", granting("team/*"), granting(), 0, getApp, getOther, true, false, []string{"team/*"}, nil},
		{"a yes about all namespaces is one about each", granting("*/*"), granting(), 0, getThere, getThere, true, false, []string{"*/*"}, nil},
		{"a yes to reading is no yes to pulling", granting("team/*"), granting(), 0, getApp, pullApp, false, false, []string{"team/*"}, []string{"team/* layers", "team/app layers"}},
		{"a no is believed too", granting(), granting("there/*"), trust - 1, getThere, getThere, false, false, []string{"*/*", "there/*", "there/app"}, nil},
		{"and not for longer either", granting(), granting("there/*"), trust, getThere, getThere, true, false, []string{"*/*", "there/*", "there/app"}, []string{"*/*", "there/*"}},
		{"a no about the own namespace hardly", granting(), granting("team/*"), ownDoubt, getApp, getApp, true, false, []string{"team/*", "team/app"}, []string{"team/*"}},
		{"but for many events at once", granting(), granting("team/*"), ownDoubt - 1, getApp, getApp, false, false, []string{"team/*", "team/app"}, nil},
		{"an explicit denial is a no", &grants{granted: map[string]bool{"there/*": true, "*/*": true}, denied: true}, granting("there/*"), 0, getThere, getThere, false, false, []string{"*/*", "there/*", "there/app"}, nil},
		{"a failure is asked again", &grants{err: errAway}, granting("team/*"), 0, getApp, getApp, true, true, []string{"team/*"}, []string{"team/*"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, c := noon, test.before
			rights := NewRights(c, trust, func() time.Time { return now })
			if _, err := rights.Allowed(t.Context(), team, test.first); errors.Is(err, errAway) != test.wantErr {
				t.Fatalf("the first answer failed with %v", err)
			}
			if diff := cmp.Diff(test.asked, c.take()); diff != "" {
				t.Errorf("first questions (-want +got):\n%s", diff)
			}
			now = now.Add(test.later)
			c.granted, c.denied, c.err = test.after.granted, test.after.denied, test.after.err
			allowed, known := rights.Remembered(team, test.access)
			if known != (len(test.askedIn) == 0) || (known && allowed != test.want) {
				t.Errorf("remembered %t, known %t; want %t, %t", allowed, known, test.want, len(test.askedIn) == 0)
			}
			got, err := rights.Allowed(t.Context(), team, test.access)
			if err != nil || got != test.want {
				t.Errorf("answered %t, %v; want %t", got, err, test.want)
			}
			if diff := cmp.Diff(test.askedIn, c.take()); diff != "" {
				t.Errorf("questions afterwards (-want +got):\n%s", diff)
			}
		})
	}
}

// Many that need one answer ask once, and nobody waits longer than it wants to.
func TestAQuestionIsAskedOnceAtATime(t *testing.T) {
	c := granting("team/*")
	c.hold = make(chan struct{})
	rights := NewRights(c, time.Minute, func() time.Time { return noon })
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rights.Allowed(impatient, team, getApp); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want the context's", err)
	}
	var waiting sync.WaitGroup
	for range 50 {
		waiting.Go(func() {
			if allowed, err := rights.Allowed(t.Context(), team, getApp); err != nil || !allowed {
				t.Errorf("answered %t, %v", allowed, err)
			}
		})
	}
	close(c.hold)
	waiting.Wait()
	if diff := cmp.Diff([]string{"team/*"}, c.take()); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

// A panic beside those that wait would end the process.
func TestAPanicWhileAskingIsAnError(t *testing.T) {
	rights := NewRights(nil, time.Minute, func() time.Time { return noon }) // without a client it panics
	for range 2 {
		if allowed, err := rights.Allowed(t.Context(), team, getApp); err == nil || allowed {
			t.Errorf("answered %t, %v; want an error", allowed, err)
		}
	}
}

// The answers about one namespace's accounts are bounded, and a flood of them clears no others'.
func TestAFloodClearsNoOthersAnswers(t *testing.T) {
	c := granting("team/*")
	rights := NewRights(c, time.Hour, func() time.Time { return noon })
	ask := func(a Account, wantQuestions int) {
		t.Helper()
		c.take()
		if _, err := rights.Allowed(t.Context(), a, getApp); err != nil {
			t.Fatal(err)
		}
		if n := len(c.take()); n != wantQuestions {
			t.Errorf("%s cost %d questions, want %d", a, n, wantQuestions)
		}
	}
	ask(team, 1)
	for n := range 3 * maxRightsOf {
		ask(Account{"hostile", strconv.Itoa(n)}, 2)
	}
	ask(team, 0)
	if n := len(rights.answers.of["hostile"]); n > maxRightsOf {
		t.Errorf("%d answers about one namespace are kept, want at most %d", n, maxRightsOf)
	}
	// Many namespaces at once keep no more than all may, at the cost of the largest.
	for n := range maxRights / 8 {
		for account := range 9 {
			ask(Account{fmt.Sprintf("hostile-%d", n%(maxRights/1024)), strconv.Itoa(n*9 + account)}, 2)
		}
	}
	ask(team, 0)
	total := 0
	for _, of := range rights.answers.of {
		total += len(of)
	}
	if total != rights.answers.total || total > maxRights {
		t.Errorf("%d answers are kept, counted as %d; want at most %d", total, rights.answers.total, maxRights)
	}
}
