package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

var errAway = errors.New("the API server is away")

// wide returns n triggers of a namespace that select every namespace, each with an account of
// its own.
func wide(namespace string, n int) (all []*v1alpha1.ImageTrigger) {
	for i := range n {
		t := named(namespace, fmt.Sprintf("wide-%03d", i), labelled(""))
		t.Spec.ServiceAccountName = fmt.Sprintf("account-%03d", i)
		all = append(all, t)
	}
	return all
}

// Whatever the triggers of other namespaces cost, a push is recorded for those of its own
// first, and answered for; what others cost is bounded by namespace.
func TestTriggersOfOthersHoldUpNobody(t *testing.T) {
	refused := func(context.Context, source.Account) (bool, error) { return false, nil }
	many := []*v1alpha1.ImageTrigger{}
	for n := range 40 {
		many = append(many, wide(fmt.Sprintf("aaa-%d", n), 5)...)
	}
	for _, test := range []struct {
		name    string
		others  []*v1alpha1.ImageTrigger
		mayGet  func(context.Context, source.Account) (bool, error)
		writing error
		want    Result
		// questions are at most asked for others, and putOff says that some are.
		questions int
		putOff    Reason
	}{
		{"accounts that do not exist", wide("aaa", 100), refused, nil, Result{Status: Done, Reason: Recorded, Kind: KindStream, Recorded: 1}, maxQuestions, OverBudget},
		{"few of them in many namespaces", many, refused, nil, Result{Status: Done, Reason: Recorded, Kind: KindStream, Recorded: 1}, 40 * 5, ""},
		{"rights that cannot be asked", wide("aaa", 3), func(context.Context, source.Account) (bool, error) { return false, errAway }, nil,
			Result{Status: Done, Reason: Recorded, Kind: KindStream, Recorded: 1}, 3, NotAnswered},
		{"a question that panics", wide("aaa", 1), func(context.Context, source.Account) (bool, error) { panic("a bug") }, nil,
			Result{Status: Done, Reason: Recorded, Kind: KindStream, Recorded: 1}, 1, NotAnswered},
		{"rights that nobody answers", wide("aaa", 100), func(ctx context.Context, _ source.Account) (bool, error) { <-ctx.Done(); return false, ctx.Err() }, nil,
			Result{Status: Done, Reason: Recorded, Kind: KindStream, Recorded: 1}, 1, OutOfTime},
		{"the ledger cannot be written for them", wide("aaa", 1), nil, errAway, Result{Status: Again, Reason: Unavailable, Kind: KindStream, Recorded: 1}, 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, append(test.others, streamsOf("shop"))...)
			f.image = openshift.ImageState{Runs: true}
			f.intake.budgets.took("aaa", time.Hour) // so that it gets the free time only
			var written []string
			f.mayGet = func(ctx context.Context, a source.Account) (bool, error) {
				if a.Namespace == "shop" {
					return true, nil
				}
				f.mu.Lock()
				early := len(f.asked) > maxPrefetch+1 && len(written) == 0
				f.mu.Unlock()
				if early {
					t.Error("others are asked about before the push is recorded for its own namespace")
				}
				if test.mayGet == nil {
					return true, nil
				}
				return test.mayGet(ctx, a)
			}
			f.writing = func(e *v1alpha1.ImageVerification) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				if written = append(written, e.Namespace); e.Namespace != "shop" {
					return test.writing
				}
				return nil
			}
			r := f.changed(shows(digestOf(t, "aa").String()))
			r.Err = nil
			if diff := cmp.Diff(test.want, r); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"shop v1@aa 0"}, f.ledger()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if len(written) == 0 || written[0] != "shop" {
				t.Errorf("written in the order %v, want the own namespace first", written)
			}
			others := 0
			for _, a := range f.asked {
				if a.Namespace != "shop" {
					others++
				}
			}
			if others > test.questions+maxPrefetch {
				t.Errorf("asked about %d accounts of others, want at most %d", others, test.questions)
			}
			told := f.logs.FilterField(zapReason(test.putOff)).Len()
			if want := test.putOff != ""; (told > 0) != want || told > 1 {
				t.Errorf("%q was logged %d times, want once: %t", test.putOff, told, want)
			}
		})
	}
}

// The accounts of the stream's own namespace are asked about side by side, some at once: an event
// holds up those that come after it from the same source, and these may be others'.
func TestTheOwnNamespacesAccountsAreAskedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 2*ownAhead + 3
		f := newFixture(t, wide("shop", accounts)...)
		f.image = openshift.ImageState{Runs: true}
		release := make(chan struct{})
		f.mayGet = func(context.Context, source.Account) (bool, error) {
			<-release
			return false, nil
		}
		answered := make(chan Result)
		go func() { answered <- f.changed(shows(digestOf(t, "aa").String())) }()
		synctest.Wait() // nothing goes on before an answer
		f.mu.Lock()
		if len(f.asked) != ownAhead {
			t.Errorf("%d are asked about at once, want %d", len(f.asked), ownAhead)
		}
		f.mu.Unlock()
		close(release)
		if r := <-answered; r.Status != Done || r.Reason != NotVisible || len(f.asked) != accounts {
			t.Errorf("result %+v after %d questions, want that no account sees it, after %d", r, len(f.asked), accounts)
		}
	})
}

// What fails for the own namespace is still for the sender to repeat, whatever others do.
func TestTheOwnNamespacesFailureIsRepeated(t *testing.T) {
	f := newFixture(t, append(wide("sec", 1), streamsOf("shop"))...)
	f.image = openshift.ImageState{Runs: true}
	f.mayGet = func(_ context.Context, a source.Account) (bool, error) {
		if a.Namespace == "shop" {
			return false, errAway
		}
		return true, nil
	}
	if r := f.changed(shows(digestOf(t, "aa").String())); r.Status != Again || r.Recorded != 1 {
		t.Errorf("result %+v, want Again with one recorded for the other namespace", r)
	}
}

// Who is known not to see a stream costs its events nothing: no question, no re-read, no
// comparison.
func TestWhoIsKnownNotToSeeIsLeftOut(t *testing.T) {
	f := newFixture(t, wide("aaa", 100)...)
	f.intake.Remembered = func(source.Account, string, string) (bool, bool) { return false, true }
	if diff := cmp.Diff(Handled(KindStream, NotVisible), f.changed(shows(digestOf(t, "aa").String()))); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %d questions", len(f.asked))
	}
}

// spin tries again what is due after some time, and returns how many namespaces had something.
func (f *fixture) spin(after time.Duration) (namespaces int) {
	f.mu.Lock()
	f.elapsed += after
	f.mu.Unlock()
	r := f.intake.retries
	for namespace := r.take(); namespace != ""; namespace = r.take() {
		r.spin(f.t.Context(), namespace)
		namespaces++
	}
	return namespaces
}

// What was put off is recorded by a retry, without another event.
func TestWhatWasPutOffIsTriedAgain(t *testing.T) {
	f := newFixture(t, append(wide("sec", 1), streamsOf("shop"))...)
	f.image = openshift.ImageState{Runs: true}
	away := true
	f.mayGet = func(_ context.Context, a source.Account) (bool, error) {
		if a.Namespace == "sec" && away {
			return false, errAway
		}
		return true, nil
	}
	if r := f.changed(shows(digestOf(t, "aa").String())); r.Reason != Recorded {
		t.Fatalf("result %+v, want Recorded", r)
	}
	if n := f.spin(0); n != 0 {
		t.Error("tried again at once")
	}
	if n := f.spin(firstRetry); n != 1 || len(f.ledger()) != 1 {
		t.Errorf("%d namespaces were tried, the ledger is %v; want one, in vain", n, f.ledger())
	}
	away = false
	f.spin(4 * firstRetry)
	if diff := cmp.Diff([]string{"shop v1@aa 0", "wide-000 v1@aa 0"}, f.ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if f.intake.retries.all != 0 {
		t.Error("what was recorded is tried again")
	}
}

// Retries are bounded by namespace, and so is how often something is tried.
func TestRetriesAreBounded(t *testing.T) {
	f := newFixture(t)
	r, tries := f.intake.retries, map[string]int{}
	add := func(namespace string, n int) {
		r.add(retryKey{namespace, fmt.Sprint(n)}, func(context.Context) bool { tries[namespace]++; return true })
	}
	for n := range 10 * maxRetriesOf {
		add("aaa", n)
		add("aaa", n)
	}
	add("shop", 0)
	if r.all != maxRetriesOf+1 || len(r.of["shop"]) != 1 {
		t.Errorf("%d wait, %d of the other namespace; want %d and one", r.all, len(r.of["shop"]), maxRetriesOf+1)
	}
	// One namespace's many do not keep another's from its turn.
	f.mu.Lock()
	f.elapsed += firstRetry
	f.mu.Unlock()
	first, second := r.take(), r.take()
	if third := r.take(); third != "" || first == second {
		t.Errorf("%q, %q and %q are tried at once; want each namespace once", first, second, third)
	}
	r.spin(t.Context(), first)
	r.spin(t.Context(), second)
	if tries["shop"] != 1 || tries["aaa"] != maxTriesOfASpin {
		t.Errorf("tried %v in one turn, want 1 and %d", tries, maxTriesOfASpin)
	}
	for range 100 {
		f.spin(time.Hour)
	}
	if r.all != 0 || tries["shop"] != maxTries || tries["aaa"] != maxTries*maxRetriesOf {
		t.Errorf("%d still wait, tried %v; want %d tries of each", r.all, tries, maxTries)
	}
	r.add(retryKey{"shop", "bug"}, func(context.Context) bool { panic("a bug") })
	f.spin(firstRetry)
}

// What a namespace may cost over all events comes back with time, and is its own.
func TestBudgets(t *testing.T) {
	now := testEpoch
	b := newBudgets(func() time.Time { return now })
	ask := func(namespace string) (n int) {
		for b.ask(namespace) {
			n++
		}
		return n
	}
	if n := ask("aaa"); n != questionBurst {
		t.Errorf("%d questions at once, want %d", n, questionBurst)
	}
	if n := ask("shop"); n != questionBurst {
		t.Errorf("%d questions of another namespace, want %d", n, questionBurst)
	}
	now = now.Add(time.Second)
	if n := ask("aaa"); n != questionRate {
		t.Errorf("%d questions a second later, want %d", n, questionRate)
	}
	if d := b.allot("aaa", timeOfEvent); d != timeOfEvent {
		t.Errorf("%v are allotted, want %v", d, timeOfEvent)
	}
	b.took("aaa", freeTime)
	b.took("aaa", timeBurst+freeTime)
	if d := b.allot("aaa", timeOfEvent); d != freeTime {
		t.Errorf("%v are allotted after all is spent, want %v", d, freeTime)
	}
	now = now.Add(5 * time.Second)
	if d := b.allot("aaa", timeOfEvent); d != freeTime+time.Second {
		t.Errorf("%v are allotted later, want %v", d, freeTime+time.Second)
	}
	for n := range 3 * maxSpenders {
		b.ask(fmt.Sprint(n))
	}
	if n := len(b.spenders); n > maxSpenders {
		t.Errorf("%d namespaces are counted, want at most %d", n, maxSpenders)
	}
}

// A registry that fails for one namespace's accounts is not asked to repeat what it showed to
// another's; if it showed the tag to nobody, it is.
func TestARegistryThatFailsForOneNamespace(t *testing.T) {
	a := digestOf(t, "aa")
	hostile := []*v1alpha1.ImageTrigger{}
	for n := range 100 {
		one := named("aaa", fmt.Sprintf("t-%03d", n), v1alpha1.ImageSelector{Repository: testHost + "/team/**"})
		one.Spec.ServiceAccountName = one.Name
		hostile = append(hostile, one)
	}
	away := func(_ time.Duration, _ string, _ source.Account) (image.Digest, error) {
		return image.Digest{}, errAway
	}
	for _, test := range []struct {
		name     string
		triggers []*v1alpha1.ImageTrigger
		hostile  func(time.Duration, string, source.Account) (image.Digest, error)
		victim   func(time.Duration, string, source.Account) (image.Digest, error)
		want     Reason
		putOff   bool
	}{
		{"for one of them", hostile, away, showing(time.Duration(0), a), Recorded, true},
		{"for none of them, but they are many", hostile, showing(time.Duration(0), a), showing(time.Duration(0), a), Recorded, true},
		{"for both", hostile[:1], away, away, Unavailable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, append(test.triggers, registryTrigger("shop", "team/**"))...)
			f.head = func(elapsed time.Duration, tag string, as source.Account) (image.Digest, error) {
				if as.Namespace == "shop" {
					return test.victim(elapsed, tag, as)
				}
				return test.hostile(elapsed, tag, as)
			}
			if r := f.notify("team/app", "v1", a); r.Reason != test.want {
				t.Errorf("result %+v, want %s", r, test.want)
			}
			if got := slices.Contains(f.ledger(), "shop v1@aa 1"); got != (test.want == Recorded) {
				t.Errorf("ledger %v", f.ledger())
			}
			if f.looks > maxQuestions+1 {
				t.Errorf("looked %d times, want at most %d", f.looks, maxQuestions+1)
			}
			if got := f.intake.retries.all > 0; got != test.putOff {
				t.Errorf("something is tried again: %t, want %t", got, test.putOff)
			}
			if !test.putOff {
				return
			}
			f.head = showing(time.Duration(0), a)
			before := len(f.ledger())
			if f.spin(firstRetry); len(f.ledger()) <= before {
				t.Errorf("%d are recorded after the retry, %d before", len(f.ledger()), before)
			}
		})
	}
}

// Property: what is pushed to a stream is recorded for the triggers of its namespace before
// anything is found out about those of others, however many and large they are.
func TestTheOwnNamespaceIsServedBeforeOthersAreLookedAt(t *testing.T) {
	f := newFixture(t, append(wide("platform", 3), streamsOf("shop"))...)
	f.image = openshift.ImageState{Runs: true}
	var before []source.Account
	var once sync.Once
	f.writing = func(*v1alpha1.ImageVerification) error {
		once.Do(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			before = slices.Clone(f.asked)
		})
		return nil
	}
	f.changed(shows(digestOf(t, "aa").String()))
	if len(before) != 1 || before[0].Namespace != "shop" {
		t.Errorf("asked before the first record was written: %v; want the account of shop alone", before)
	}
	if len(f.asked) < 2 {
		t.Errorf("asked are %v; others were not served, and the test proves nothing", f.asked)
	}
}
