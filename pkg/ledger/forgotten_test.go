package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

// An entry that has forgotten tags says so; of a push that may be one of those nobody claims
// anything, and nobody asks the API server again. Later pushes are recorded as ever.
func TestAPushThatMayBeForgottenIsNeitherCoveredNorRecorded(t *testing.T) {
	reads := 0
	c := store(t, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
		reads++
		return c.Get(ctx, key, obj, opts...)
	}})
	x := ledger.NewIndex(clock)
	l := ledger.NewBounded(c, x, ledger.Bounds{Tags: 2, More: 2})
	at := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for n := range 6 { // v0 is the first push, v4 and v5 are named or packed, v1 is forgotten
		record(t, l, pushOf(stream, fmt.Sprint("v", n), 1, at(n)))
	}
	ask := func(tag string, n int) (covers, forgot bool) {
		o := push.Observation{Repository: stream, Tag: tag, Digest: digest(1), Created: at(n), Head: true}
		known := l.Known(trigger(), stream)
		return known.Covers(o), known.Forgot(o)
	}
	for _, test := range []struct {
		name           string
		tag            string
		at             int
		covers, forgot bool
	}{
		{"what the entry names is covered", "v5", 5, true, false},
		{"what it tells of without a name is covered", "v3", 3, true, false},
		{"a later push of that is a push", "v3", 4, false, false},
		{"what it forgot is not known", "v1", 1, false, true},
		{"what it never had is not known, if it is as old", "other", 1, false, true},
		{"what is newer is a push", "other", 6, false, false},
		{"a newer push of what it forgot is one too", "v1", 6, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if covers, forgot := ask(test.tag, test.at); covers != test.covers || forgot != test.forgot {
				t.Errorf("covered %t, forgotten %t; want %t, %t", covers, forgot, test.covers, test.forgot)
			}
		})
	}
	entry := entries(t, c)[0]
	version := entry.ResourceVersion
	// A process whose index is empty, and one that knows.
	for _, l := range []*ledger.Ledger{ledger.NewBounded(c, ledger.NewIndex(clock), ledger.Bounds{Tags: 2, More: 2}), l} {
		reads = 0
		_, err := l.Record(t.Context(), trigger(), pushOf(stream, "v1", 1, at(1)), nil, v1alpha1.SourceSweep, noon)
		if !errors.Is(err, ledger.ErrForgotten) {
			t.Errorf("error = %v, want ErrForgotten", err)
		}
	}
	if reads != 0 {
		t.Errorf("a process that knows asks %d times", reads)
	}
	if entry = entries(t, c)[0]; entry.ResourceVersion != version {
		t.Error("a push that may be recorded was written")
	}
	if told := meta.FindStatusCondition(entry.Status.Conditions, v1alpha1.ConditionTagsKnown); told == nil || told.Reason != v1alpha1.ReasonTooManyTags || told.Message == "" {
		t.Errorf("condition TagsKnown = %+v", told)
	}
	if got := record(t, l, pushOf(stream, "v1", 1, at(6))).Outcome; got != ledger.Updated {
		t.Errorf("a newer push: outcome %q", got)
	}
	if covers, _ := ask("v1", 6); !covers {
		t.Error("it is not covered once it is recorded")
	}
}

// A registry shows no times: a tag that was at another digest after all that is forgotten has
// certainly been pushed again, and of any other nobody knows.
func TestForgottenTagsOfARegistry(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	l := ledger.NewBounded(c, ledger.NewIndex(clock), ledger.Bounds{Tags: 2, More: 1})
	at := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	record(t, l, pushOf(repo, "before", 2, at(0)))
	for n := range 4 { // v1 is forgotten
		record(t, l, pushOf(repo, fmt.Sprint("v", n), 1, at(n+1)))
	}
	record(t, l, pushOf(repo, "after", 2, at(9)))
	for _, test := range []struct {
		tag    string
		covers bool
		forgot bool
	}{
		{"v3", true, false}, {"v2", true, false}, {"v0", true, false},
		{"v1", false, true}, {"never", false, true}, {"before", false, true}, {"after", false, false},
	} {
		o := push.Observation{Repository: repo, Tag: test.tag, Digest: digest(1), Created: at(20), Head: true}
		known := l.Known(trigger(), repo)
		if covers, forgot := known.Covers(o), known.Forgot(o); covers != test.covers || forgot != test.forgot {
			t.Errorf("%s: covered %t, forgotten %t; want %t, %t", test.tag, covers, forgot, test.covers, test.forgot)
		}
	}
	if got := record(t, l, pushOf(repo, "after", 1, at(20))).Outcome; got != ledger.Updated {
		t.Errorf("a push after all that: outcome %q", got)
	}
}
