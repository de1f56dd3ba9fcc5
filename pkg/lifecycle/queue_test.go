package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const other = "sha256:" + "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"

func headAt(digest string, ago time.Duration) lifecycle.Head {
	return lifecycle.Head{Digest: digest, PushedAt: now.Add(-ago)}
}

// heads answers by tag; a tag that is not named is not known.
func heads(e *v1alpha1.ImageVerification, by map[string]lifecycle.Head) []lifecycle.Head {
	return lifecycle.Heads(e, func(tag string) lifecycle.Head { return by[tag] })
}

func TestSupersede(t *testing.T) {
	skips := trigger(func(t *lifecycle.Trigger) { t.SkipSuperseded = true })
	two := entry(tags(tag("v1", time.Minute, 0), tag("v2", time.Minute, 0)))
	for _, test := range []struct {
		name    string
		entry   *v1alpha1.ImageVerification
		trigger lifecycle.Trigger
		seen    lifecycle.RunObservation
		heads   map[string]lifecycle.Head
		want    lifecycle.Decision
	}{
		{"a push whose tag was pushed again is skipped", entry(), skips, absent, map[string]lifecycle.Head{"v1": headAt(other, time.Second)},
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.Superseded, Cause: push}},
		{"but not before its run was looked for", entry(), skips, nobody, map[string]lifecycle.Head{"v1": headAt(other, time.Second)},
			lifecycle.Decision{Action: lifecycle.Look, Cause: push}},
		{"and not if its run exists", entry(), skips, ours(), map[string]lifecycle.Head{"v1": headAt(other, time.Second)}, lifecycle.Decision{Action: lifecycle.Route, Cause: push}},
		{"by default it is verified", entry(), ready(), absent, map[string]lifecycle.Head{"v1": headAt(other, time.Second)}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"a push that its tag still shows is verified", entry(), skips, absent, map[string]lifecycle.Head{"v1": headAt(two.Spec.Digest, time.Minute)}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"a push of the same second is in no order", entry(), skips, absent, map[string]lifecycle.Head{"v1": headAt(other, time.Minute)}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"a later push of the same digest is no other", entry(), skips, absent, map[string]lifecycle.Head{"v1": headAt(two.Spec.Digest, 0)}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"a tag of which nothing is known keeps it", entry(), skips, absent, nil, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"one of two tags that still stands keeps it", two, skips, absent,
			map[string]lifecycle.Head{"v1": headAt(other, time.Second), "v2": headAt(two.Spec.Digest, time.Minute)}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"also one that was decided before", entry(tags(tag("v1", time.Minute, 0), tag("v2", time.Hour, 1))), skips, absent,
			map[string]lifecycle.Head{"v1": headAt(other, time.Second), "v2": headAt(two.Spec.Digest, time.Hour)}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"two tags that were both pushed again do not", two, skips, absent,
			map[string]lifecycle.Head{"v1": headAt(other, time.Second), "v2": headAt(other, time.Second)},
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.Superseded, Cause: push}},
		{"where there are no times the sequence decides", entry(func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Sequence = 3 }), skips, absent,
			map[string]lifecycle.Head{"v1": {Digest: other, Sequence: 4}},
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.Superseded, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v1#3"}}},
		{"an earlier sequence is none", entry(func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Sequence = 3 }), skips, absent,
			map[string]lifecycle.Head{"v1": {Digest: other, Sequence: 2, PushedAt: now}}, lifecycle.Decision{Action: lifecycle.AskSlot, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v1#3"}}},
		{"nothing that waits, nothing to give up", entry(tags(tag("v1", time.Minute, 1))), skips, absent,
			map[string]lifecycle.Head{"v1": headAt(other, time.Second)}, lifecycle.Decision{Action: lifecycle.Idle}},
		{"a run under way is not given up", entry(with(fired(time.Second, 1, "")), tags(tag("v1", time.Minute, 0))), skips, absent,
			map[string]lifecycle.Head{"v1": headAt(other, time.Second)}, lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Requested, Run: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := lifecycle.Facts{Trigger: test.trigger, Run: test.seen, Heads: heads(test.entry, test.heads)}
			got := lifecycle.Next(test.entry, f, now)
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(lifecycle.Decision{}, "Message")); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if got.Action == lifecycle.Skip && !strings.Contains(got.Message, other) {
				t.Errorf("message %q does not name the newer digest", got.Message)
			}
		})
	}
	if d := lifecycle.Next(entry(), lifecycle.Facts{Trigger: skips, Run: absent}, now); d.Action != lifecycle.AskSlot {
		t.Errorf("without heads the decision is %+v, want a run", d)
	}
}

// Property: new pushes go first, then what somebody asked for, then retries, then renewals; the
// oldest first, but for one whose tag was pushed again: it goes right after that.
func TestOrderOfTheQueue(t *testing.T) {
	manual, vanished := v1alpha1.Cause{Type: v1alpha1.CauseManual}, v1alpha1.Cause{Type: v1alpha1.CauseVanished}
	pushedAgo := func(ago time.Duration) *v1alpha1.ImageVerification { return entry(tags(tag("v1", ago, 0))) }
	type waiter struct {
		name string
		rank lifecycle.Rank
	}
	waiters := []waiter{
		{"unknown cause", lifecycle.RankOf(pushedAgo(time.Hour), v1alpha1.Cause{}, nil)},
		{"renewal", lifecycle.RankOf(pushedAgo(time.Hour), v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: lifecycle.RenewalPrefix + "a"}, nil)},
		{"retry, younger", lifecycle.RankOf(entry(with(failedRun(time.Second))), retry, nil)},
		{"retry, older", lifecycle.RankOf(entry(with(failedRun(time.Minute))), retry, nil)},
		{"manual", lifecycle.RankOf(pushedAgo(time.Hour), manual, nil)},
		{"push, newest", lifecycle.RankOf(pushedAgo(time.Second), push, []lifecycle.Head{headAt("sha256:"+hex, time.Second)})},
		{"push, overtaken", lifecycle.RankOf(pushedAgo(time.Hour), push, []lifecycle.Head{headAt(other, 10*time.Second)})},
		{"push, overtaking", lifecycle.RankOf(pushedAgo(10*time.Second), push, []lifecycle.Head{headAt("sha256:"+hex, 10*time.Second)})},
		{"vanished", lifecycle.RankOf(entry(), vanished, nil)},
		{"push, oldest", lifecycle.RankOf(pushedAgo(time.Hour), push, nil)},
	}
	slices.SortStableFunc(waiters, func(a, b waiter) int { return a.rank.Compare(b.rank) })
	var got []string
	for _, w := range waiters {
		got = append(got, w.name)
	}
	want := []string{"push, oldest", "vanished", "push, overtaking", "push, overtaken", "push, newest", "manual", "retry, older", "retry, younger", "renewal", "unknown cause"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
