package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

var (
	passes = gateTurn{outcome: v1alpha1.OutcomePass}
	fails  = gateTurn{outcome: v1alpha1.OutcomeFail}
	errs   = gateTurn{outcome: v1alpha1.OutcomeError}
)

// noon is a time, and after adds seconds of the wall and of a leader.
var noon = time.Unix(1_800_000_000, 0)

func after(wall, led int) moment {
	return moment{noon.Add(time.Duration(wall) * time.Second), time.Duration(led) * time.Second}
}

// sharedImage is an image in entries of both triggers, and of one that is not trusted.
func sharedImage() (*gateScript, *gateEntry, *gateEntry, *gateEntry) {
	const digest = "sha256:aa"
	strict := &gateEntry{name: "e", trigger: strictTrigger, digest: digest, children: []v1alpha1.ChildImage{
		{Digest: "sha256:c1", Platform: gatePlatform}, {Digest: "sha256:c2", Platform: gateOther},
	}}
	lax := &gateEntry{name: "e", trigger: laxTrigger, digest: digest}
	stranger := &gateEntry{name: "e", trigger: strangerTrigger, digest: digest}
	return &gateScript{entries: []*gateEntry{strict, lax, stranger}}, strict, lax, stranger
}

func (b *gateBook) turns(e *gateEntry, t gateTurn, now moment) {
	b.begins(e, t, now.wall)
	b.written(e, t, now)
}

// What is wrong with an admission has to show, and what is not must not.
func TestGateBookJudgesAdmissions(t *testing.T) {
	s, strict, lax, stranger := sharedImage()
	for _, test := range []struct {
		name   string
		digest string
		before func(*gateBook)
		// meanwhile happens while the Pod is tried.
		meanwhile func(*gateBook)
		now       moment
		wrong     string
		led       time.Duration
	}{
		{"it passed", "sha256:aa", func(b *gateBook) { b.turns(strict, passes, after(0, 0)) }, nil, after(10, 10), "", 0},
		{"nobody knows it", "sha256:bb", func(*gateBook) {}, nil, after(10, 10), "never passed", 0},
		{"only a stranger passed it", "sha256:aa", func(b *gateBook) { b.turns(stranger, passes, after(0, 0)) }, nil, after(10, 10), "never passed", 0},
		{"it only had errors", "sha256:aa", func(b *gateBook) { b.turns(strict, errs, after(0, 0)) }, nil, after(10, 10), "never passed", 0},
		{"its pass does not count", "sha256:aa", func(b *gateBook) {
			b.turns(strict, gateTurn{outcome: v1alpha1.OutcomePass, flaw: checkOff}, after(0, 0))
		}, nil, after(10, 10), "never passed", 0},
		{"a child for the platform", "sha256:c1", func(b *gateBook) { b.turns(strict, passes, after(0, 0)) }, nil, after(10, 10), "", 0},
		{"a child for another platform", "sha256:c2", func(b *gateBook) { b.turns(strict, passes, after(0, 0)) }, nil, after(10, 10), "never passed", 0},
		{"it expired", "sha256:aa", func(b *gateBook) { b.turns(strict, passes, after(0, 0)) }, nil, after(3603, 10), "expired", 0},
		{"it is about to expire", "sha256:aa", func(b *gateBook) { b.turns(strict, passes, after(0, 0)) }, nil, after(3601, 10), "", 0},
		{"it failed", "sha256:aa", func(b *gateBook) {
			b.turns(strict, passes, after(0, 0))
			b.turns(strict, fails, after(10, 5))
		}, nil, after(50, 12), "", 7 * time.Second},
		{"it failed, and failed again, with an error", "sha256:aa", func(b *gateBook) {
			b.turns(strict, passes, after(0, 0))
			b.turns(strict, fails, after(10, 5))
			b.turns(strict, errs, after(20, 10))
			b.turns(strict, fails, after(30, 20))
		}, nil, after(50, 45), "", 40 * time.Second},
		{"it failed under one trigger, and the other passed it", "sha256:aa", func(b *gateBook) {
			b.turns(strict, fails, after(10, 5))
			b.turns(lax, passes, after(20, 10))
		}, nil, after(50, 45), "", 40 * time.Second},
		{"its index failed", "sha256:c1", func(b *gateBook) {
			b.turns(strict, passes, after(0, 0))
			b.turns(strict, fails, after(10, 5))
		}, nil, after(50, 45), "", 40 * time.Second},
		{"a stranger failed it", "sha256:aa", func(b *gateBook) {
			b.turns(strict, passes, after(0, 0))
			b.turns(stranger, fails, after(10, 5))
		}, nil, after(50, 45), "", 0},
		{"it failed and passed", "sha256:aa", func(b *gateBook) {
			b.turns(strict, fails, after(10, 5))
			b.turns(strict, passes, after(20, 10))
		}, nil, after(50, 45), "", 0},
		{"a pass is on its way", "sha256:aa", func(b *gateBook) { b.turns(strict, fails, after(10, 5)) },
			func(b *gateBook) { b.begins(strict, passes, after(50, 45).wall) }, after(50, 45), "", 0},
		{"a failure is on its way", "sha256:aa", func(b *gateBook) { b.turns(strict, passes, after(10, 5)) },
			func(b *gateBook) { b.turns(strict, fails, after(50, 45)) }, after(50, 45), "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newGateBook(s)
			test.before(b)
			v := b.look(test.digest, test.now)
			if test.meanwhile != nil {
				test.meanwhile(b)
			}
			f := b.admitted(v)
			if (f.wrong == "") != (test.wrong == "") || !strings.Contains(f.wrong, test.wrong) {
				t.Errorf("it finds %q wrong, want %q", f.wrong, test.wrong)
			}
			if f.led != test.led {
				t.Errorf("it had failed for %s, want %s", f.led, test.led)
			}
		})
	}
}

// For how long a digest should have started is told if that is certain.
func TestGateBookKnowsWhatShouldStart(t *testing.T) {
	s, strict, lax, _ := sharedImage()
	for name, test := range map[string]struct {
		before, meanwhile func(*gateBook)
		want              time.Duration
	}{
		"it passed": {func(b *gateBook) { b.turns(strict, passes, after(10, 5)) }, nil, 20 * time.Second},
		"it passed in both": {func(b *gateBook) {
			b.turns(strict, passes, after(10, 5))
			b.turns(lax, passes, after(20, 10))
		}, nil, 15 * time.Second},
		"it failed in one": {func(b *gateBook) {
			b.turns(strict, passes, after(10, 5))
			b.turns(lax, fails, after(20, 10))
		}, nil, 0},
		"a failure is on its way": {func(b *gateBook) { b.turns(strict, passes, after(10, 5)) },
			func(b *gateBook) { b.begins(strict, fails, noon) }, 0},
		"nobody looked at it": {func(*gateBook) {}, nil, 0},
	} {
		b := newGateBook(s)
		test.before(b)
		v := b.look(strict.digest, after(50, 25))
		if test.meanwhile != nil {
			test.meanwhile(b)
		}
		if _, led := b.refused(v); led != test.want {
			t.Errorf("%s: it should have started for %s, want %s", name, led, test.want)
		}
	}
}

// What runs may start again when its verdict has expired.
func TestGateBookKnowsWhatRan(t *testing.T) {
	s, strict, _, _ := sharedImage()
	s.running = []string{strict.digest}
	b := newGateBook(s)
	b.turns(strict, passes, after(0, 0))
	if f := b.admitted(b.look(strict.digest, after(4000, 0))); f.wrong != "" {
		t.Error(f.wrong)
	}
}

// The clock runs only while the process that holds the lease leads.
func TestLeadClockRunsWhileOneLeads(t *testing.T) {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	const lease = 15 * time.Second
	for _, test := range []struct {
		name  string
		lease heldBy
		up    func() (time.Time, bool)
		want  bool
	}{
		{"it runs and renewed", heldBy{"a", at(5), lease}, func() (time.Time, bool) { return at(0), true }, true},
		{"it was killed", heldBy{"a", at(5), lease}, func() (time.Time, bool) { return time.Time{}, false }, false},
		{"it was started again and has not renewed", heldBy{"a", at(5), lease}, func() (time.Time, bool) { return at(6), true }, false},
		{"its lease has ended", heldBy{"a", at(-6), lease}, func() (time.Time, bool) { return at(-60), true }, false},
		{"nobody holds it", heldBy{"", at(5), lease}, func() (time.Time, bool) { return at(0), true }, false},
	} {
		c := &leadClock{up: func(string) (time.Time, bool) { return test.up() }}
		c.saw(test.lease)
		c.tick(at(9))
		c.tick(at(10))
		if got := c.led == time.Second; got != test.want {
			t.Errorf("%s: it leads for %s", test.name, c.led)
		}
	}
}
