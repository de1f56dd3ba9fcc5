package ledger

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

// headOf finds a tag's head the slow way: the newest push of all entries.
func headOf(entries map[string]record, tag string) push.Head {
	var head push.Head
	for _, r := range entries {
		for _, t := range r.tags {
			if t.key == v1alpha1.KeyOfTag(tag) {
				head = head.Raised(t.Moment, r.digest)
			}
		}
	}
	return head
}

// sameHead compares heads without regard to which of several equal pushes comes first.
func sameHead(a, b push.Head) bool {
	return a.Moment == b.Moment && slices.Equal(a.All(), b.All())
}

// Property: however records come, change and go, each question is answered as a look at
// all of them would answer it.
func TestRepositoryAnswersAsALookAtAllRecords(t *testing.T) {
	for _, kind := range []push.Kind{push.ImageStream, push.Registry} {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, 1))
			r, all := &repository{}, map[string]record{}
			for step := range 400 {
				// Few digests at first, so that both ways to keep them are crossed.
				digest := fmt.Sprintf("%064x", rng.IntN(4+step/8))
				switch rng.IntN(5) {
				case 0:
					r.remove(digest)
					delete(all, digest)
				default:
					next := record{digest: digest}
					for range 1 + rng.IntN(3) {
						p := v1alpha1.PushRecord{Tag: fmt.Sprint("v", rng.IntN(6)), PushedAt: metav1.NewTime(start.Add(time.Duration(rng.IntN(30)) * time.Second))}
						if kind == push.Registry {
							p.PushedAt, p.Sequence = metav1.NewTime(start), 1+rng.Int64N(30)
						}
						next.add(v1alpha1.KeyOfTag(p.Tag), momentOf(p))
					}
					next.order()
					r.set(next)
					all[digest] = next
				}
				for tag := range 7 {
					name := fmt.Sprint("v", tag)
					if got, want := r.head(v1alpha1.KeyOfTag(name)), headOf(all, name); !sameHead(got, want) {
						t.Fatalf("seed %d, step %d: the head of %s is %+v, want %+v", seed, step, name, got, want)
					}
				}
				got := r.find(digest)
				want, known := all[digest]
				if known != (got != nil) || (known && cmp.Diff(want, *got, cmp.AllowUnexported(record{}, tagRecord{})) != "") {
					t.Fatalf("seed %d, step %d: digest %s is %+v, want %+v", seed, step, digest, got, want)
				}
			}
			if len(r.records) != len(all) {
				t.Fatalf("%d records, want %d", len(r.records), len(all))
			}
		}
	}
}

// Property: what a digest costs does not grow with how many its repository has: neither to
// take it in, nor to ask for its tag.
func TestIndexIsLinearInTheDigestsOfARepository(t *testing.T) {
	perDigest := func(count int) uint64 {
		entries := make([]*v1alpha1.ImageVerification, count)
		for n := range entries {
			entries[n] = entryOf("web", n, fmt.Sprint("u", n), fmt.Sprint(n+1))
			entries[n].Spec.FirstPush.Tag = fmt.Sprint("v", n)
		}
		x := NewIndex(func() time.Time { return start })
		r := RepositoryOf(entries[0])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, e := range entries {
			x.observe(e)
		}
		for _, e := range entries {
			if !x.known("trigger", r).Seen(e.Spec.FirstPush.Tag) {
				t.Fatalf("tag %s is not known", e.Spec.FirstPush.Tag)
			}
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / uint64(count)
	}
	few, many := perDigest(1000), perDigest(16_000)
	t.Logf("%d bytes of allocation a digest of 1,000, %d of 16,000", few, many)
	if many > 2*few {
		t.Errorf("a digest of 16,000 allocates %d bytes, one of 1,000 %d", many, few)
	}
}

// Property: own writes that the watch has shown are not kept, though nobody asks.
func TestOwnWritesAreForgottenOnceTheWatchShowsThem(t *testing.T) {
	now := start
	x := NewIndex(func() time.Time { return now })
	for n := range 1000 {
		e := entryOf("web", n%3, fmt.Sprint("u", n%3), fmt.Sprint(n+1))
		x.ownStatus(e)
		x.observe(e.DeepCopy())
		now = now.Add(time.Second)
	}
	repo := x.at(keyOf(entryOf("web", 1, "", "")))
	if len(repo.own) > 1 || len(x.written) != 0 {
		t.Errorf("%d own writes and %d entries are kept", len(repo.own), len(x.written))
	}
}

func TestFreshest(t *testing.T) {
	older, latest := entryOf("web", 1, "u1", "9"), entryOf("web", 1, "u1", "10")
	again := entryOf("web", 1, "u2", "20")
	for _, test := range []struct {
		name   string
		feed   func(*Index, cache.ResourceEventHandler)
		cached *v1alpha1.ImageVerification
		want   string // the resourceVersion
	}{
		{"what was written goes before an older state", func(x *Index, _ cache.ResourceEventHandler) { x.ownStatus(latest) }, older, "10"},
		{"nothing was written", func(*Index, cache.ResourceEventHandler) {}, older, "9"},
		{"the cache has caught up", func(x *Index, _ cache.ResourceEventHandler) { x.ownStatus(older) }, latest, "10"},
		{"an older write does not replace a later one", func(x *Index, _ cache.ResourceEventHandler) { x.ownStatus(latest); x.ownStatus(older) }, older, "10"},
		{"the watch lags behind it", func(x *Index, h cache.ResourceEventHandler) { x.ownStatus(latest); h.OnAdd(older, false) }, older, "10"},
		{"another entry has its name", func(x *Index, _ cache.ResourceEventHandler) { x.ownStatus(latest) }, again, "20"},
		{"the cache still has the entry before it", func(x *Index, _ cache.ResourceEventHandler) { x.ownStatus(again) }, latest, "10"},
		{"it was deleted", func(x *Index, h cache.ResourceEventHandler) { x.ownStatus(latest); h.OnDelete(latest) }, older, "9"},
		{"an earlier one of its name was deleted", func(x *Index, h cache.ResourceEventHandler) { x.ownStatus(again); h.OnDelete(latest) }, entryOf("web", 1, "u2", "19"), "20"},
		{"somebody else wrote it since", func(x *Index, _ cache.ResourceEventHandler) { x.ownStatus(latest); x.forgetWrite(older) }, older, "9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := NewIndex(func() time.Time { return start })
			test.feed(x, x.Handler())
			if got := New(nil, x).Freshest(test.cached); got.ResourceVersion != test.want {
				t.Errorf("version %s, want %s", got.ResourceVersion, test.want)
			}
		})
	}
}
