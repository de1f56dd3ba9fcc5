package receiver

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Whoever edits a namespace mints any number of tokens that are valid. They cost the API server few
// questions of one source, and no other namespace its place.
func TestValidTokensOfOneNamespaceCostOthersNothing(t *testing.T) {
	now := epoch
	api := &authenticator{}
	tokens := NewTokens(api, "revet", func() time.Time { return now })
	check := func(source, token string) verdict {
		t.Helper()
		v, err := tokens.check(t.Context(), source, http.Header{"Authorization": {"Bearer revet." + token}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	check("10.0.0.1", "honest.a")
	api.asked = 0
	for n := range 2 * maxAsked {
		check("10.0.0.66", fmt.Sprintf("stranger.%d", n))
	}
	if api.asked != maxAsked {
		t.Errorf("new tokens of one source cost %d questions, want %d", api.asked, maxAsked)
	}
	if v := check("10.0.0.66", fmt.Sprintf("stranger.%d", maxAsked-1)); v != validToken {
		t.Errorf("a token that is known gives %d to its source, want it valid", v)
	}
	if v := check("10.0.0.66", "stranger.new"); v != tooManyTokens {
		t.Errorf("a new one gives %d, want %d", v, tooManyTokens)
	}
	if v := check("10.0.0.2", "other.a"); v != validToken {
		t.Errorf("a token of another source gives %d, want it valid", v)
	}
	// From many addresses they take the places of their own namespace.
	for n := range 4 * maxTokensEach {
		now = now.Add(time.Millisecond)
		check(fmt.Sprint("10.1.0.", n/100), fmt.Sprintf("stranger.many-%d", n))
	}
	if n := tokens.kept["namespace stranger"]; n > maxTokensEach {
		t.Errorf("%d answers about one namespace are kept, want at most %d", n, maxTokensEach)
	}
	// Neither do many namespaces take another one's.
	for n := range 2 * maxTokens {
		check(fmt.Sprint("10.2.0.", n/100), fmt.Sprintf("stranger-%d.%d", n%100, n))
	}
	if len(tokens.known) > maxTokens {
		t.Errorf("%d answers are kept, want at most %d", len(tokens.known), maxTokens)
	}
	api.asked = 0
	if v := check("10.0.0.1", "honest.a"); v != validToken || api.asked != 0 {
		t.Errorf("the honest token gives %d after %d questions, want it remembered", v, api.asked)
	}
	now = now.Add(time.Minute)
	if v := check("10.0.0.66", "stranger.new"); v != validToken {
		t.Errorf("a minute later a new token gives %d, want it valid", v)
	}
	total := 0
	for _, n := range tokens.kept {
		total += n
	}
	if total != len(tokens.known) {
		t.Errorf("%d answers are counted, and %d kept", total, len(tokens.known))
	}
}
