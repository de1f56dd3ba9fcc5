package receiver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/intake"
)

const (
	// tokenTrust is how long an answer about a token is believed.
	tokenTrust = time.Minute
	// maxTokens bounds how many answers are kept, of about 150 bytes.
	maxTokens = 4096
	// maxTokensEach bounds how many are kept of the tokens of one namespace's accounts, which
	// mint as many as they like.
	maxTokensEach = 64
	// maxAsked is how many tokens of one source are asked about in a minute, valid or not. A
	// sender needs one for an hour, and a Broker one for each of its Triggers.
	maxAsked = 240
	// maxRefusals is how many tokens of one source are looked at in a minute that turn out
	// to be none: a token that is made up costs the API server a question.
	maxRefusals = 20
	// tokenTimeout bounds one question.
	tokenTimeout = 3 * time.Second
)

// verdict says what to make of a token.
type verdict int

const (
	unknownToken verdict = iota // nobody could tell
	validToken
	invalidToken
	tooManyTokens // this source sent too many that were none, or that were new
)

// Tokens checks the OIDC tokens that Knative sends with events to an audience. It asks the API
// server, and remembers the answers by the tokens' hashes. It is safe for concurrent use.
type Tokens struct {
	client   client.Client
	audience string
	now      func() time.Time

	mu      sync.Mutex
	known   map[[sha256.Size]byte]seen
	kept    map[string]int // of known, by owner
	minute  time.Time      // when asked and refused began to count
	asked   map[string]int // by source
	refused map[string]int // of these, those that were none
}

type seen struct {
	valid bool
	at    time.Time
	// owner is the namespace of the account that has the token; or the account, or the source
	// of a token that is none.
	owner string
}

// NewTokens returns Tokens for an audience.
func NewTokens(c client.Client, audience string, now func() time.Time) *Tokens {
	return &Tokens{client: c, audience: audience, now: now, known: map[[sha256.Size]byte]seen{},
		kept: map[string]int{}, asked: map[string]int{}, refused: map[string]int{}}
}

// check judges the token of a request. Its error is set for unknownToken.
func (t *Tokens) check(ctx context.Context, source string, header http.Header) (verdict, error) {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return invalidToken, nil
	}
	hash := sha256.Sum256([]byte(token))
	if v := t.remembered(hash, source); v != unknownToken {
		return v, nil
	}
	asked := t.now()
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{t.audience}}}
	if err := t.client.Create(ctx, review); err != nil {
		return unknownToken, fmt.Errorf("asking whether a sender's token is for audience %q: %w", t.audience, err)
	}
	// An authenticator that knows no audiences names none: its token may be anybody's.
	valid := review.Status.Authenticated && slices.Contains(review.Status.Audiences, t.audience)
	owner := "source " + source
	if valid {
		owner = ownerOf(review.Status.User.Username)
	}
	t.keep(hash, source, seen{valid, asked, owner})
	if !valid {
		return invalidToken, nil
	}
	return validToken, nil
}

// ownerOf returns the namespace of a service account, or else the user.
func ownerOf(user string) string {
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		namespace, _, _ := strings.Cut(account, ":")
		return "namespace " + namespace
	}
	return "user " + user
}

func (t *Tokens) remembered(hash [sha256.Size]byte, source string) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.minute) >= time.Minute || now.Before(t.minute) {
		t.minute = now
		clear(t.asked)
		clear(t.refused)
	}
	have, ok := t.known[hash]
	switch {
	case ok && !now.Before(have.at) && now.Sub(have.at) < tokenTrust && have.valid:
		return validToken
	case ok && !now.Before(have.at) && now.Sub(have.at) < tokenTrust:
		return invalidToken
	case t.refused[source] >= maxRefusals || t.asked[source] >= maxAsked:
		return tooManyTokens
	default:
		return unknownToken
	}
}

// keep remembers an answer. Nobody's answers take the place of others': an owner that has many
// loses its own first.
func (t *Tokens) keep(hash [sha256.Size]byte, source string, answer seen) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked[source]++
	if !answer.valid {
		t.refused[source]++
	}
	t.drop(hash)
	if t.kept[answer.owner] >= maxTokensEach {
		t.dropOldest(answer.owner)
	}
	if len(t.known) >= maxTokens {
		for other, s := range t.known {
			if !s.valid || answer.at.Sub(s.at) >= tokenTrust {
				t.drop(other)
			}
		}
	}
	if len(t.known) >= maxTokens {
		largest := answer.owner
		for owner, n := range t.kept {
			if n > t.kept[largest] {
				largest = owner
			}
		}
		t.dropOldest(largest)
	}
	t.known[hash] = answer
	t.kept[answer.owner]++
}

// dropOldest forgets the oldest answer about an owner's tokens.
func (t *Tokens) dropOldest(owner string) {
	var oldest [sha256.Size]byte
	var at time.Time
	for hash, s := range t.known {
		if s.owner == owner && (at.IsZero() || s.at.Before(at)) {
			oldest, at = hash, s.at
		}
	}
	t.drop(oldest)
}

func (t *Tokens) drop(hash [sha256.Size]byte) {
	s, ok := t.known[hash]
	if !ok {
		return
	}
	delete(t.known, hash)
	if t.kept[s.owner]--; t.kept[s.owner] <= 0 {
		delete(t.kept, s.owner)
	}
}

// Authenticate has the Handler take events only with a token that is valid. It returns h.
func (h *Handler) Authenticate(t *Tokens) *Handler {
	h.tokens = t
	return h
}

// authenticated reports whether to go on with an event, or answers why not.
func (h *Handler) authenticated(w http.ResponseWriter, r *http.Request) bool {
	if h.tokens == nil {
		return true
	}
	switch v, err := h.tokens.check(r.Context(), sourceOf(r), r.Header); v {
	case validToken:
		return true
	case invalidToken:
		w.Header().Set("WWW-Authenticate", `Bearer realm="revet"`)
		refuse(w, http.StatusUnauthorized, fmt.Sprintf("send a token for the audience %q", h.tokens.audience))
	case tooManyTokens:
		h.later(w, http.StatusTooManyRequests, "too many tokens that are new, or not valid")
	default:
		h.reply(r.Context(), w, v1alpha1.SourceEvent, intake.Result{Status: intake.Again, Reason: intake.Unavailable, Kind: intake.KindOther, Err: err})
	}
	return false
}
