package intake

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

const ms = time.Millisecond

// A registry may notify before it shows the tag.
func TestANotificationBeforeItsTagIsNotLost(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	for _, test := range []struct {
		name    string
		head    func(time.Duration, string, source.Account) (image.Digest, error)
		content func(time.Duration, image.Reference) (image.Content, error)
		claimed image.Digest
		// before is recorded before the notification comes.
		before  image.Digest
		again   int // how often the registry has to send it again
		elapsed time.Duration
		want    []string
	}{
		{"the tag shows at once", showing(0*ms, a), nil, a, image.Digest{}, 0, 0, []string{"shop v1@aa 1"}},
		{"6 ms later, as with Distribution", showing(6*ms, a), nil, a, image.Digest{}, 0, 25 * ms, []string{"shop v1@aa 1"}},
		{"61 ms later", showing(61*ms, a), nil, a, image.Digest{}, 0, 100 * ms, []string{"shop v1@aa 1"}},
		{"half a second later", showing(500*ms, a), nil, a, image.Digest{}, 0, 600 * ms, []string{"shop v1@aa 1"}},
		{"a second later", showing(time.Second, a), nil, a, image.Digest{}, 0, time.Second, []string{"shop v1@aa 1"}},
		{"two seconds later, which the registry has to repeat for", showing(2*time.Second, a), nil, a, image.Digest{}, 1, 2 * time.Second, []string{"shop v1@aa 1"}},
		{"the tag shows what it had before", showing(0*ms, a, 300*ms, b), nil, b, a, 0, 300 * ms, []string{"shop v1@aa 1", "shop v1@bb 2"}},
		{"what it had before was not recorded either", showing(0*ms, a, 300*ms, b), nil, b, image.Digest{}, 0, 300 * ms, []string{"shop v1@aa 1", "shop v1@bb 2"}},
		{"the notification claims no digest", showing(0*ms, a, 300*ms, b), nil, image.Digest{}, a, 0, 300 * ms, []string{"shop v1@aa 1", "shop v1@bb 2"}},
		{"the notification claims no digest of a new tag", showing(1500*ms, a), nil, image.Digest{}, image.Digest{}, 1, 1600 * ms, []string{"shop v1@aa 1"}},
		{"the tag shows, and its manifest does not yet", showing(0*ms, a), func(elapsed time.Duration, _ image.Reference) (image.Content, error) {
			if elapsed < 300*ms {
				return image.Content{}, errNotThere
			}
			return runs, nil
		}, a, image.Digest{}, 0, 300 * ms, []string{"shop v1@aa 1"}},
		{"an index shows, and its children do not yet", showing(0*ms, a), func(time.Duration, image.Reference) (image.Content, error) {
			return image.Content{Kind: image.ContentIndex, Children: []image.Content{{}}}, nil
		}, a, image.Digest{}, 0, 0, []string{"shop v1@aa 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, registryTrigger("shop", "team/**"))
			if !test.before.IsZero() {
				f.head = showing(0*ms, test.before)
				f.notify("team/app", "v1", test.before)
			}
			f.head = test.head
			if test.content != nil {
				f.content = test.content
			}
			for n := range test.again {
				if r := f.notify("team/app", "v1", test.claimed); r.Status != Again || r.Reason != NotShown {
					t.Fatalf("notification %d: %+v, want Again", n+1, r)
				}
			}
			r := f.notify("team/app", "v1", test.claimed)
			if r.Status != Done || r.Reason != Recorded {
				t.Errorf("result %+v, want Recorded", r)
			}
			if f.elapsed != test.elapsed {
				t.Errorf("waited %v, want %v", f.elapsed, test.elapsed)
			}
			if diff := cmp.Diff(test.want, f.ledger()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if len(f.intake.patience.waiting) != 0 || len(f.intake.locks.held) != 0 {
				t.Errorf("still waiting: %v; still locked: %v", f.intake.patience.waiting, f.intake.locks.held)
			}
		})
	}
}

// A HEAD that lags behind, or claims what the registry does not have, is not believed against
// what the tag points to.
func TestAnOddHeadLosesNothing(t *testing.T) {
	a, b, bogus := digestOf(t, "aa"), digestOf(t, "bb"), digestOf(t, "ff")
	for _, test := range []struct {
		name          string
		head, claimed image.Digest
		want          []string
	}{
		{"it shows what the tag had before", a, b, []string{"shop v1@aa 1", "shop v1@bb 2"}},
		{"it shows what the tag had before, and nothing is claimed", a, image.Digest{}, []string{"shop v1@aa 1", "shop v1@bb 2"}},
		{"it claims what the registry does not have", bogus, b, []string{"shop v1@aa 1", "shop v1@bb 2"}},
		{"it claims what the registry does not have, and nothing is claimed", bogus, image.Digest{}, []string{"shop v1@aa 1", "shop v1@bb 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, registryTrigger("shop", "team/**"))
			f.head = showing(0*ms, a)
			f.notify("team/app", "v1", a)
			f.head, f.tagged = showing(0*ms, test.head), showing(0*ms, b)
			f.content = func(_ time.Duration, ref image.Reference) (image.Content, error) {
				if ref.Digest() == bogus {
					return image.Content{}, errNotThere
				}
				return runs, nil
			}
			if r := f.notify("team/app", "v1", test.claimed); r.Status != Done || r.Reason != Recorded || f.elapsed != 0 {
				t.Errorf("result %+v after %v, want Recorded at once", r, f.elapsed)
			}
			if diff := cmp.Diff(test.want, f.ledger()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		})
	}
}

// Two notifications of one tag may come in the wrong order.
func TestNotificationsOutOfOrder(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	f := newFixture(t, registryTrigger("shop", "team/**"))
	f.head = showing(0*ms, a, 300*ms, b)
	for n, claimed := range []image.Digest{b, a, a, a, a, b} {
		want := Done
		if n >= 1 && n <= 3 {
			want = Again // the tag may be on its way back to a
		}
		if r := f.notify("team/app", "v1", claimed); r.Status != want {
			t.Errorf("notification %d: %+v, want status %v", n+1, r, want)
		}
	}
	if diff := cmp.Diff([]string{"shop v1@aa 1", "shop v1@bb 2"}, f.ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A push that was overwritten before its notification came is not asked for again where the
// look found the newer one.
func TestAnOverwrittenPushIsNotRepeated(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	f := newFixture(t, registryTrigger("shop", "team/**"))
	f.head = showing(0*ms, b)
	if r := f.notify("team/app", "v1", a); r.Status != Done || r.Reason != Recorded || r.Recorded != 1 {
		t.Errorf("result %+v, want one push recorded", r)
	}
	if diff := cmp.Diff([]string{"shop v1@bb 1"}, f.ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A tag that never shows costs a bounded number of looks, and is not repeated for ever.
func TestATagThatNeverShowsIsGivenUp(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	for _, test := range []struct {
		name    string
		head    func(time.Duration, string, source.Account) (image.Digest, error)
		claimed image.Digest
		before  image.Digest
		again   int
	}{
		{"no such tag", showing(), a, image.Digest{}, maxRepeats},
		{"no such tag, and no digest claimed", showing(), image.Digest{}, image.Digest{}, maxRepeats},
		{"a digest that the tag does not have", showing(0*ms, a), b, a, maxRepeats},
		{"the same again, and no digest claimed", showing(0*ms, a), image.Digest{}, a, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, registryTrigger("shop", "team/**"))
			f.head = test.head
			if !test.before.IsZero() {
				f.notify("team/app", "v1", test.before)
			}
			f.looks = 0
			for n := range test.again + 2 {
				r := f.notify("team/app", "v1", test.claimed)
				if want := map[bool]Status{true: Again, false: Done}[n < test.again]; r.Status != want || r.Reason != NotShown || r.Recorded != 0 {
					t.Errorf("notification %d: %+v, want status %v and NotShown", n+1, r, want)
				}
			}
			if most := (len(pauses) + 1) * (test.again + 2); f.looks > most {
				t.Errorf("looked %d times, want at most %d", f.looks, most)
			}
			if n := f.logs.FilterMessageSnippet("passed over").Len(); n != 1 {
				t.Errorf("logged %d times that it was given up, want once", n)
			}
		})
	}
}

// A tag that was given up, and shows at last, is waited for anew the next time.
func TestATagThatShowsAtLastIsWaitedForAgain(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("shop", "team/**"))
	f.head = showing()
	for range maxRepeats + 1 {
		f.notify("team/app", "v1", a)
	}
	f.head = showing(f.elapsed+10*ms, a)
	if r := f.notify("team/app", "v1", a); r.Reason != Recorded {
		t.Fatalf("result %+v, want Recorded", r)
	}
	if n := f.intake.patience.early.add(claim{place{mustRepository(t, "team/app"), "v1"}, a}); n != 1 {
		t.Errorf("the claim still counts as early %d times", n-1)
	}
}

func mustRepository(t *testing.T, path string) image.Repository {
	t.Helper()
	r, err := image.ParseRepository(testHost + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An account that is not shown the tag makes nobody wait where another account is.
func TestNobodyWaitsForAnAccountThatIsNotShownTheTag(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("blind", "team/**"), registryTrigger("shop", "team/**"))
	f.head = func(_ time.Duration, _ string, as source.Account) (image.Digest, error) {
		if as.Namespace == "blind" {
			return image.Digest{}, errNotThere
		}
		return a, nil
	}
	if r := f.notify("team/app", "v1", a); r.Status != Done || r.Reason != Recorded || f.elapsed != 0 {
		t.Errorf("result %+v after %v, want Recorded at once", r, f.elapsed)
	}
}

// Waiting in vain is bounded for whoever causes it, and takes nothing from others.
func TestWaitingInVainIsBounded(t *testing.T) {
	a := digestOf(t, "aa")
	for _, test := range []struct {
		name     string
		triggers []string // namespaces, each of a trigger for everything
		path     func(n int) string
		most     time.Duration
	}{
		{"one who pushes and deletes", []string{"shop"}, func(int) string { return "evil/app" }, bounds[repositoryOwner].vain},
		{"a trigger whose account is shown nothing", []string{"evil"}, func(n int) string { return fmt.Sprintf("team%d/app", n) }, bounds[triggerNamespace].vain},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, registryTrigger(test.triggers[0], "**"), registryTrigger("victim", "victim/**"))
			clock := testEpoch
			f.intake.patience.now = func() time.Time { return clock }
			f.head = showing()
			const hints = 100
			for n := range hints {
				f.notify(test.path(n), fmt.Sprintf("t%d", n), a)
			}
			short := time.Duration(0)
			for _, pause := range pauses[:shortPauses] {
				short += pause
			}
			if most := test.most + time.Second + hints*short; f.elapsed > most {
				t.Errorf("%d notifications waited %v, want at most %v", hints, f.elapsed, most)
			}
			// Distribution's usual delay is waited for all the same.
			f.head = showing(f.elapsed+61*ms, a)
			if r := f.notify(test.path(0), "soon", a); r.Reason != Recorded {
				t.Errorf("a tag that shows after 61 ms: %+v, want Recorded", r)
			}
			from := f.elapsed
			f.head = func(elapsed time.Duration, _ string, as source.Account) (image.Digest, error) {
				if as.Namespace != "victim" || elapsed < from+500*ms {
					return image.Digest{}, errNotThere
				}
				return a, nil
			}
			if test.triggers[0] == "shop" {
				if r := f.notify("victim/app", "v1", a); r.Reason != Recorded {
					t.Errorf("the victim's tag that shows after 500 ms: %+v, want Recorded", r)
				}
			}
			clock = clock.Add(time.Minute)
			from = f.elapsed
			f.head = showing(from+500*ms, a)
			if r := f.notify(test.path(1), "later", a); r.Reason != Recorded {
				t.Errorf("a minute later, a tag that shows after 500 ms: %+v, want Recorded", r)
			}
		})
	}
}

// Who has spent what it may wait in vain spends nothing of what the others on its registry have.
func TestOneOwnerCannotSpendThePatienceOfARegistry(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("shop", "evil/**"), registryTrigger("victim", "victim/**"))
	clock := testEpoch
	f.intake.patience.now = func() time.Time { return clock }
	f.head = showing()
	for n := range 500 {
		f.notify("evil/app", fmt.Sprintf("t%d", n), a)
	}
	f.head = showing(f.elapsed+500*ms, a)
	if r := f.notify("victim/app", "v1", a); r.Reason != Recorded {
		t.Errorf("the victim's tag that shows after 500 ms: %+v, want Recorded", r)
	}
}

// Only so many notifications of one owner wait at once; those of others still do.
func TestWaitersAreBounded(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("shop", "evil/**"), registryTrigger("victim", "victim/**"))
	f.head = showing()
	waiting, release := make(chan struct{}, 100), make(chan struct{})
	var over atomic.Bool
	f.asleep = func(context.Context, time.Duration) error {
		if over.Load() {
			t.Error("one more than may wait waits")
			return context.Canceled
		}
		waiting <- struct{}{}
		<-release
		return context.Canceled // no further look
	}
	results := make(chan Result, 100)
	for n := range bounds[repositoryOwner].waiting {
		go func() { results <- f.notify("evil/app", fmt.Sprintf("t%d", n), a) }()
		<-waiting
	}
	over.Store(true)
	if r := f.notify("evil/app", "over", a); r.Status != Again || r.Reason != NotShown {
		t.Errorf("one more than may wait: %+v, want Again at once", r)
	}
	over.Store(false)
	go func() { results <- f.notify("victim/app", "v1", a) }()
	<-waiting // it waits beside them
	close(release)
	for range bounds[repositoryOwner].waiting + 1 {
		if r := <-results; r.Status != Again {
			t.Errorf("result %+v, want Again", r)
		}
	}
	if left := len(f.intake.patience.waiting); left != 0 {
		t.Errorf("%d parties still wait", left)
	}
}

// Two notifications of one push look once: the second one waits for the first.
func TestNotificationsOfOnePushLookOnce(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("shop", "team/**"))
	second := make(chan Result, 1)
	var once sync.Once
	f.head = func(time.Duration, string, source.Account) (image.Digest, error) {
		once.Do(func() {
			go func() { second <- f.notify("team/app", "v1", a) }()
			for f.intake.locks.users(testHost+"/team/app:v1") < 2 {
				runtime.Gosched()
			}
		})
		return a, nil
	}
	first := f.notify("team/app", "v1", a)
	if r := <-second; first.Reason != Recorded || r.Reason != NothingNew || f.looks != 1 {
		t.Errorf("first %+v, second %+v, %d looks; want Recorded, NothingNew and one", first, r, f.looks)
	}
}

// What a digest is, is read once for all triggers of one account.
func TestTriggersOfOneAccountReadTheContentOnce(t *testing.T) {
	a := digestOf(t, "aa")
	second := registryTrigger("shop", "team/**")
	second.Name, second.UID = "second", "second"
	f := newFixture(t, registryTrigger("shop", "team/**"), second)
	f.head = showing(0*ms, a)
	reads := 0
	f.content = func(time.Duration, image.Reference) (image.Content, error) { reads++; return runs, nil }
	if r := f.notify("team/app", "v1", a); r.Recorded != 2 || reads != 1 {
		t.Errorf("%d reads, result %+v; want one read, and two records", reads, r)
	}
}

// No lock is held while a notification waits: another one of the same tag is handled.
func TestWaitingHoldsNoLock(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("shop", "team/**"))
	f.head = showing(10*ms, a)
	var inner Result
	f.asleep = func(context.Context, time.Duration) error {
		if inner.Reason == "" {
			inner = f.notify("team/app", "v1", a) //nolint:contextcheck // another notification, with a context of its own
		}
		return nil
	}
	outer := f.notify("team/app", "v1", a)
	if inner.Reason != Recorded || outer.Status != Done || outer.Reason != NothingNew {
		t.Errorf("inner %+v, outer %+v; want Recorded and NothingNew", inner, outer)
	}
}

// The tags of one notification wait together, and one that never shows holds up no other.
func TestTagsOfANotificationWaitTogether(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, registryTrigger("shop", "**"))
	f.head = func(elapsed time.Duration, tag string, _ source.Account) (image.Digest, error) {
		if tag == "never" || elapsed < 300*ms {
			return image.Digest{}, errNotThere
		}
		return a, nil
	}
	hints := []webhook.Hint{{ClaimedPath: "one/app", Tag: "never", ClaimedDigest: a}}
	for n := range 5 {
		hints = append(hints, webhook.Hint{ClaimedPath: fmt.Sprintf("team%d/app", n), Tag: "v1", ClaimedDigest: a})
	}
	r := f.intake.Notification(t.Context(), Endpoint{Host: testHost, Allows: func(string) bool { return true }}, hints)
	if r.Status != Again || r.Recorded != 5 || f.elapsed != time.Second {
		t.Errorf("result %+v after %v, want Again with 5 recorded after 1 s", r, f.elapsed)
	}
}
