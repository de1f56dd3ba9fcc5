package ledger

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/push"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func entryOf(stream string, n int, uid, version string) *v1alpha1.ImageVerification {
	digest := fmt.Sprintf("sha256:%064x", n)
	d, err := image.ParseDigest(digest)
	if err != nil {
		panic(err)
	}
	r := push.Repository{Kind: push.ImageStream, Name: "shop/" + stream, UID: "uid-of-" + stream}
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sec", Name: EntryName("trigger", r, d), UID: types.UID(uid), ResourceVersion: version},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "vet", UID: "trigger"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: r.Name, UID: r.UID, Pull: "registry/" + r.Name},
			Digest:     digest,
			FirstPush:  v1alpha1.PushRecord{Tag: "prod", PushedAt: metav1.NewTime(start), Source: v1alpha1.SourceEvent},
		},
	}
}

func observation(entry *v1alpha1.ImageVerification, tag string, at time.Time) push.Observation {
	d, err := image.ParseDigest(entry.Spec.Digest)
	if err != nil {
		panic(err)
	}
	return push.Observation{Repository: RepositoryOf(entry), Tag: tag, Digest: d, Created: at}
}

func TestIndexCoversWhatTheWatchShowed(t *testing.T) {
	one, two := entryOf("web", 1, "u1", "5"), entryOf("web", 2, "u2", "6")
	two.Status.Tags = []v1alpha1.TagStatus{{PushRecord: v1alpha1.PushRecord{Tag: "next", PushedAt: metav1.NewTime(start.Add(time.Hour))}}}
	x := NewIndex(func() time.Time { return start })
	for _, e := range []*v1alpha1.ImageVerification{two, one} {
		x.Handler().OnAdd(e, true)
	}
	for _, test := range []struct {
		name string
		o    push.Observation
		want bool
	}{
		{"the first push counts while the status is empty", observation(one, "prod", start), true},
		{"an earlier push of the tag to the digest is covered", observation(one, "prod", start.Add(-time.Hour)), true},
		{"a later push is not", observation(one, "prod", start.Add(time.Second)), false},
		{"another tag is not", observation(one, "next", start), false},
		{"a tag of the status counts", observation(two, "next", start.Add(time.Hour)), true},
		{"another digest is not covered", observation(entryOf("web", 3, "", ""), "prod", start), false},
		{"another stream is not covered", observation(entryOf("app", 1, "", ""), "prod", start), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := x.known("trigger", test.o.Repository).Covers(test.o); got != test.want {
				t.Errorf("Covers = %t, want %t", got, test.want)
			}
		})
	}
	if x.known("another trigger", RepositoryOf(one)).Covers(observation(one, "prod", start)) {
		t.Error("another trigger's entry covers")
	}
	again := one.Spec.Repository
	again.UID = "recreated"
	if x.known("trigger", push.Repository{Kind: push.ImageStream, Name: again.Name, UID: again.UID}).Covers(observation(one, "prod", start)) {
		t.Error("an earlier incarnation's entry covers")
	}
}

// What the watch does not confirm never covers anything for good.
func TestIndexForgetsAnOwnWriteThatIsNotConfirmed(t *testing.T) {
	now := start
	x := NewIndex(func() time.Time { return now })
	entry := entryOf("web", 1, "u1", "5")
	covers := func() bool {
		return x.known("trigger", RepositoryOf(entry)).Covers(observation(entry, "prod", start))
	}
	x.ownWrite(entry)
	if !covers() {
		t.Fatal("an own write does not count")
	}
	now = start.Add(ownWriteTrust + time.Second)
	if covers() {
		t.Error("an own write counts that the watch never showed")
	}
	x.Handler().OnAdd(entry, false)
	if !covers() {
		t.Error("what the watch shows does not count")
	}
}

// A watch mostly shows a write before its reply arrives, and a list shows it too:
// it is confirmed then, and stays.
func TestIndexKeepsAnOwnWriteThatWasConfirmedFirst(t *testing.T) {
	older, entry := entryOf("web", 1, "u1", "5"), entryOf("web", 1, "u1", "6")
	for _, test := range []struct {
		name string
		feed func(*Index)
	}{
		{"by the watch, before the reply", func(x *Index) { x.Handler().OnAdd(entry, false); x.ownWrite(entry) }},
		{"by the watch, before the reply to an older write", func(x *Index) { x.Handler().OnAdd(entry, false); x.ownWrite(older) }},
		{"by a list, after the reply", func(x *Index) {
			x.ownWrite(entry)
			if err := x.Store().Replace([]any{entry.DeepCopy()}, "7"); err != nil {
				t.Fatal(err)
			}
		}},
		{"by a list, of a later incarnation", func(x *Index) {
			x.ownWrite(entryOf("web", 1, "u0", "4"))
			if err := x.Store().Replace([]any{entry.DeepCopy()}, "7"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := start
			x := NewIndex(func() time.Time { return now })
			test.feed(x)
			now = start.Add(ownWriteTrust + time.Second)
			if !x.known("trigger", RepositoryOf(entry)).Covers(observation(entry, "prod", start)) {
				t.Error("what the watch or a list has shown is forgotten")
			}
		})
	}
	now := start
	x := NewIndex(func() time.Time { return now })
	x.ownWrite(entry)
	now = start.Add(ownWriteTrust + time.Second)
	x.ownWrite(entry) // it was read again, and is there
	if !x.known("trigger", RepositoryOf(entry)).Covers(observation(entry, "prod", start)) {
		t.Error("an unconfirmed entry that was just read again does not count")
	}
}

func TestIndexKeepsTheLatestOfAnEntry(t *testing.T) {
	old, latest := entryOf("web", 1, "u1", "9"), entryOf("web", 1, "u1", "10")
	latest.Status.Tags = []v1alpha1.TagStatus{{PushRecord: v1alpha1.PushRecord{Tag: "next", PushedAt: metav1.NewTime(start)}}}
	recreated := entryOf("web", 1, "u2", "20")
	covers := func(x *Index, tag string) bool {
		return x.known("trigger", RepositoryOf(old)).Covers(observation(old, tag, start))
	}
	for _, test := range []struct {
		name string
		feed func(*Index, cache.ResourceEventHandler)
		prod bool
		next bool
	}{
		{"an own write is not undone by a watch that lags", func(x *Index, h cache.ResourceEventHandler) { x.ownWrite(latest); h.OnAdd(old, false) }, true, true},
		{"the watch replaces an older own write", func(x *Index, h cache.ResourceEventHandler) { x.ownWrite(old); h.OnAdd(latest, false) }, true, true},
		{"a deleted entry is forgotten", func(x *Index, h cache.ResourceEventHandler) { h.OnAdd(latest, false); h.OnDelete(latest) }, false, false},
		{"a deletion that was missed counts too", func(x *Index, h cache.ResourceEventHandler) {
			h.OnAdd(latest, false)
			h.OnDelete(cache.DeletedFinalStateUnknown{Obj: old})
		}, false, false},
		{"the deletion of an earlier incarnation is not the later one's", func(x *Index, h cache.ResourceEventHandler) {
			h.OnAdd(old, false)
			x.ownWrite(recreated)
			h.OnDelete(old)
		}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := NewIndex(func() time.Time { return start })
			test.feed(x, x.Handler())
			if got := covers(x, "prod"); got != test.prod {
				t.Errorf("prod covered = %t, want %t", got, test.prod)
			}
			if got := covers(x, "next"); got != test.next {
				t.Errorf("next covered = %t, want %t", got, test.next)
			}
		})
	}
}

// Two digests of the same sequence mean that the tag's state is not known.
func TestRegistryTieIsNotCovered(t *testing.T) {
	x := NewIndex(func() time.Time { return start })
	for n := range 2 {
		e := entryOf("web", n+1, fmt.Sprint(n), "1")
		e.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "r.example.com/web"}
		e.Spec.FirstPush.Sequence = 7
		x.Handler().OnAdd(e, true)
	}
	r := push.Repository{Kind: push.Registry, Name: "r.example.com/web"}
	for n := range 2 {
		o := observation(entryOf("web", n+1, "", ""), "prod", start)
		if x.known("trigger", r).Covers(o) {
			t.Errorf("digest %d is covered though another has its sequence", n+1)
		}
	}
	if newest, head := x.known("trigger", r).head("prod"); newest != 7 || head != "" {
		t.Errorf("newest sequence = %d of %q; want 7 of nothing", newest, head)
	}
}

func TestWithinScope(t *testing.T) {
	nothing := NewIndex(func() time.Time { return start }).known("trigger", push.Repository{Kind: push.ImageStream})
	since := func(at time.Time, head bool) bool { return !at.Before(start) }
	horizon := metav1.NewTime(start.Add(time.Hour))
	for _, test := range []struct {
		name    string
		at      time.Time
		head    bool
		horizon *metav1.Time
		want    bool
	}{
		{"older than the trigger needs no entry", start.Add(-time.Second), true, nil, true},
		{"since the trigger needs one", start, true, nil, false},
		{"history before the horizon needs none", start.Add(time.Minute), false, &horizon, true},
		{"history after the horizon needs one", start.Add(2 * time.Hour), false, &horizon, false},
		{"a head before the horizon needs one", start.Add(time.Minute), true, &horizon, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := push.Observation{Tag: "prod", Created: test.at, Head: test.head}
			trigger := &v1alpha1.ImageTrigger{Status: v1alpha1.ImageTriggerStatus{HistoryHorizon: test.horizon}}
			if got := WithinScope(nothing, trigger, since).Covers(o); got != test.want {
				t.Errorf("Covers = %t, want %t", got, test.want)
			}
		})
	}
}

func TestNamesAreReadableAndFit(t *testing.T) {
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ repository, prefix string }{
		{"shop/web", "web-"},
		{"registry.example.com/shop/web_frontend.v2", "web-frontend-v2-"},
		{"shop/" + strings.Repeat("long", 20), "longlonglonglonglonglonglonglo-"},
		{"shop/___", "image-"},
	} {
		r := push.Repository{Kind: push.ImageStream, Name: test.repository, UID: "u"}
		entry := &v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{UID: "e"}, Spec: v1alpha1.ImageVerificationSpec{Repository: v1alpha1.RepositoryReference{Name: test.repository}}}
		for _, name := range []string{EntryName("t", r, d), RunName(entry, 1)} {
			if !strings.HasPrefix(name, test.prefix) || len(name) > 63 || len(name) != len(test.prefix)+32 {
				t.Errorf("name of %q = %q (%d characters), want %q and 32 hexadecimal digits, at most 63", test.repository, name, len(name), test.prefix)
			}
		}
	}
}

// Names that differ in any part differ; these are part of the API.
func TestNamesIdentify(t *testing.T) {
	d1, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", 1))
	if err != nil {
		t.Fatal(err)
	}
	r := push.Repository{Kind: push.ImageStream, Name: "shop/web", UID: "u"}
	if got, want := EntryName("t", r, d1), "web-"+hash("t", "ImageStream", "shop/web", "u", d1.String()); got != want {
		t.Errorf("EntryName = %q, want %q", got, want)
	}
	seen := map[string]bool{EntryName("t", r, d1): true}
	recreated := r
	recreated.UID = "v"
	for _, name := range []string{EntryName("t2", r, d1), EntryName("t", recreated, d1), EntryName("t", push.Repository{Kind: push.Registry, Name: r.Name, UID: r.UID}, d1)} {
		if seen[name] {
			t.Errorf("%q names two entries", name)
		}
		seen[name] = true
	}
	entry := &v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{UID: "e"}}
	if RunName(entry, 1) == RunName(entry, 11) || RunName(entry, 1) == RunName(&v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{UID: "e1"}}, 1) {
		t.Error("two runs have one name")
	}
}

// 10,000 streams of an entry each must leave room in the receiver's 60 MiB.
func TestRecordsAreSmall(t *testing.T) {
	const count = 10000
	x := NewIndex(func() time.Time { return start })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range count {
		e := entryOf(fmt.Sprintf("stream-%d", n), n, fmt.Sprintf("11111111-2222-3333-4444-%012d", n), fmt.Sprint(n))
		e.Status.Runs = make([]v1alpha1.RunStatus, 10)
		x.observe(e)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / count
	t.Logf("%d bytes an entry", each)
	if each > 600 {
		t.Errorf("an entry takes %d bytes, want at most 600", each)
	}
	runtime.KeepAlive(x)
}

// After a gap in its watch a reflector lists anew: what is not in the list is
// gone, but for what this process wrote just now.
func TestStoreReplacesAll(t *testing.T) {
	now := start
	x := NewIndex(func() time.Time { return now })
	gone, kept, own, old := entryOf("web", 1, "u1", "1"), entryOf("web", 2, "u2", "2"), entryOf("web", 3, "u3", "3"), entryOf("web", 4, "u4", "4")
	s := x.Store()
	if x.Synced() {
		t.Error("synced before anything was listed")
	}
	if err := s.Replace([]any{gone, kept}, "2"); err != nil || !x.Synced() {
		t.Fatalf("Replace = %v, synced = %t", err, x.Synced())
	}
	x.ownWrite(old)
	now = start.Add(ownWriteTrust + time.Second)
	x.ownWrite(own)
	trimmed, err := s.Transformer()(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace([]any{trimmed}, "5"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		want  bool
	}{{"deleted in the gap", gone, false}, {"still listed", kept, true}, {"written just now", own, true}, {"written long ago and not listed", old, false}} {
		if got := x.known("trigger", RepositoryOf(test.entry)).Covers(observation(test.entry, "prod", start)); got != test.want {
			t.Errorf("%s: covered = %t, want %t", test.name, got, test.want)
		}
	}
	if err := s.Delete(kept); err != nil {
		t.Fatal(err)
	}
	if x.known("trigger", RepositoryOf(kept)).Covers(observation(kept, "prod", start)) {
		t.Error("a deleted entry covers")
	}
	if err := s.Replace([]any{"no entry"}, "6"); err == nil {
		t.Error("a list of something else is accepted")
	}
}

func TestHeadIsTheNewestPushOfATag(t *testing.T) {
	pushedTo := func(n int, at time.Duration, sequence int64) *v1alpha1.ImageVerification {
		e := entryOf("web", n, fmt.Sprint("u", n), fmt.Sprint(n))
		e.Spec.FirstPush.PushedAt, e.Spec.FirstPush.Sequence = metav1.NewTime(start.Add(at)), sequence
		return e
	}
	foreign := pushedTo(9, time.Hour, 0)
	foreign.Spec.Trigger.UID = "another"
	for _, test := range []struct {
		name    string
		entries []*v1alpha1.ImageVerification
		tag     string
		want    int // the entry; 0 is none
	}{
		{"the newest of three", []*v1alpha1.ImageVerification{pushedTo(1, time.Minute, 0), pushedTo(2, 2*time.Minute, 0), pushedTo(3, 0, 0)}, "prod", 2},
		{"another tag has none", []*v1alpha1.ImageVerification{pushedTo(1, 0, 0)}, "next", 0},
		{"pushes of another trigger do not count", []*v1alpha1.ImageVerification{pushedTo(1, 0, 0), foreign}, "prod", 1},
		{"of two in one second it is the asking entry's", []*v1alpha1.ImageVerification{pushedTo(1, 0, 0), pushedTo(2, 0, 0)}, "prod", 1},
		{"where there are no times the sequence decides", []*v1alpha1.ImageVerification{pushedTo(1, time.Hour, 1), pushedTo(2, 0, 2)}, "prod", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := NewIndex(func() time.Time { return start })
			for _, e := range test.entries {
				x.Handler().OnAdd(e, true)
			}
			var want lifecycle.Head
			for _, e := range test.entries {
				if e.ResourceVersion == fmt.Sprint(test.want) {
					p := e.Spec.FirstPush
					want = lifecycle.Head{Digest: e.Spec.Digest, PushedAt: p.PushedAt.Time, Sequence: p.Sequence}
				}
			}
			if got := New(nil, x).Head(test.entries[0], test.tag); got != want {
				t.Errorf("head %+v, want %+v", got, want)
			}
		})
	}
}
