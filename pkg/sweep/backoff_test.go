package sweep

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

// A registry that asks for it is not asked again in this sweep, which says so and
// until when; other registries are swept all the same.
func TestARegistryThatAsksForNoRequestsIsLeftAlone(t *testing.T) {
	const other = "other.example.com/team/x"
	w := newEnv(t)
	w.sweeper.options.Concurrency = 1
	for i := range 50 {
		w.registry.set(repositoryA, fmt.Sprintf("v%d", i), 1)
		w.registry.refuse[repositoryA+fmt.Sprintf(":v%d", i)] = &source.RetryAfterError{Host: "registry.example.com", Until: at(7200), Err: errors.New("429")}
	}
	w.registry.set(repositoryB, "v1", 2)
	w.registry.set(other, "v1", 3)
	asked := registries(repositoryA, repositoryB, other)
	asked.Spec.Existing = v1alpha1.ExistingVerify
	r := w.sweep(asked)
	if r.Reason != RegistryPutOff || !r.Retry || !r.NotBefore.Equal(at(7200)) || !strings.Contains(r.Message, "429") || r.Recovered != 1 {
		t.Errorf("result %+v", r)
	}
	if len(r.Baselines) != 1 || r.Baselines[0] != other {
		t.Errorf("baselines %q, want only that of the registry that was seen", r.Baselines)
	}
	if w.registry.heads != 2 {
		t.Errorf("%d tags were asked for, want one of each registry", w.registry.heads)
	}
	clear(w.registry.refuse)
	if r := w.sweep(asked); r.Reason != "" || r.Recovered != 51 || r.Pushes != 52 || r.Gap != 0 {
		t.Errorf("the next sweep: %+v", r)
	}
}

func TestARegistryThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	r := newBackoff(func() time.Time { return noon })
	down := errors.New("connection refused")
	asked := 0
	ask := func(err error) error {
		return r.ask("registry.example.com", func() error { asked++; return err })
	}
	for range maxFailures - 1 {
		_ = ask(down)
	}
	_ = ask(&source.Refusal{Reason: source.Denied, Err: down}) // an answer all the same
	for range 3 * maxFailures {
		_ = ask(down)
	}
	var off *source.RetryAfterError
	if err := ask(nil); !errors.As(err, &off) || asked != 2*maxFailures || !off.Until.Equal(noon.Add(failureBackoff)) {
		t.Errorf("asked %d times, then %v", asked, err)
	}
	if err := r.ask("other.example.com", func() error { return nil }); err != nil {
		t.Errorf("another registry: %v", err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _ = ask(nil) })
	}
	all.Wait()
}
