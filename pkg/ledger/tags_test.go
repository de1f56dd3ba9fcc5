package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/push"
)

func pushed(tag string, at int) v1alpha1.PushRecord {
	return v1alpha1.PushRecord{Tag: tag, PushedAt: metav1.NewTime(start.Add(time.Duration(at) * time.Second)), Source: v1alpha1.SourceEvent}
}

// noHeads knows no push but those of the entry.
func noHeads(string) push.Head { return push.Head{} }

// FuzzTags: whatever is pushed and decided, in any order, within any bounds, an entry covers
// what was recorded and nothing else, or says of it that it does not know; a push that waits
// has its run; and nothing grows.
func FuzzTags(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		data := make([]byte, 120)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(byte(seed), byte(seed/3), data)
	}
	f.Fuzz(func(t *testing.T, tags, more byte, data []byte) {
		b := Bounds{Tags: 2 + int(tags%4), More: 1 + int(more%6)}
		entry := entryOf("web", 1, "u1", "1")
		recorded := map[string]int64{"prod": start.Unix()}
		var k known
		look := func() {
			x := NewIndex(func() time.Time { return start })
			x.observe(entry)
			k = x.known("trigger", RepositoryOf(entry))
		}
		observe := func(tag string, at int64) (covers, forgot bool) {
			o := observation(entry, tag, time.Unix(at, 0))
			return k.Covers(o), k.Forgot(o)
		}
		look()
		for data = data[:min(len(data), 300)]; len(data) >= 3; data = data[3:] {
			tag, at := fmt.Sprint("v", data[1]%12), int(data[2])
			if data[0]%4 == 0 {
				lifecycle.RecordCovered(&entry.Status, int32(1+data[1]), v1alpha1.Cause{})
			} else {
				p := pushed(tag, at)
				covers, forgot := observe(tag, p.PushedAt.Unix())
				switch got := addPush(entry, p, noHeads); {
				case (got == unchanged) != covers || (got == forgotten) != forgot:
					t.Fatalf("adding %s +%d gives %d, covered %t, forgotten %t", tag, at, got, covers, forgot)
				case got == added:
					recorded[tag] = p.PushedAt.Unix()
				}
			}
			b.complete(entry, noHeads, start)
			look()
			s := &entry.Status
			if len(s.Tags) > b.Tags || len(s.MoreTags.Unpack()) > b.More {
				t.Fatalf("%d tags and %d more within %+v", len(s.Tags), len(s.MoreTags.Unpack()), b)
			}
			if s.MoreTags.Open() && lifecycle.Undecided(entry) == nil {
				t.Fatal("a push waits for a run that nobody starts")
			}
			for n := range 12 {
				tag := fmt.Sprint("v", n)
				newest, was := recorded[tag]
				covers, forgot := observe(tag, newest)
				later, _ := observe(tag, newest+1)
				if covers && !was || was && !covers && !forgot || later {
					t.Fatalf("%s: recorded %t, covered %t, forgotten %t, a later push covered %t", tag, was, covers, forgot, later)
				}
			}
			if covers, _ := observe("prod", start.Unix()); !covers {
				t.Fatal("the first push is not covered")
			}
		}
	})
}

// full has an entry with as many decided tags as it may name, all of one second but the first
// and the last.
func full(run int32) *v1alpha1.ImageVerification {
	e := entryOf("web", 1, "u1", "1")
	e.Status.Tags = []v1alpha1.TagStatus{{PushRecord: e.Spec.FirstPush, Run: run}}
	for n := 1; n < v1alpha1.MaxTags; n++ {
		e.Status.Tags = append(e.Status.Tags, v1alpha1.TagStatus{PushRecord: pushed(fmt.Sprintf("v%03d", n), n), Run: run})
	}
	return e
}

// What leaves an entry first is what nobody needs by name: tags that show another digest, then
// the oldest; never what waits for a run, and never the first push.
func TestWhatATagIsKeptFor(t *testing.T) {
	own := push.Head{Digest: hexOf(entryOf("web", 1, "", "").Spec.Digest)}
	moved := push.Head{Digest: "another"}
	all := func(h push.Head) heads { return func(string) push.Head { return h } }
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.ImageVerification)
		head   heads
		want   string // the tag that goes
	}{
		{"the oldest", func(*v1alpha1.ImageVerification) {}, all(own), "v001"},
		{"a tag that shows another digest before the oldest", func(*v1alpha1.ImageVerification) {}, func(tag string) push.Head {
			if tag == "v050" {
				return moved
			}
			return own
		}, "v050"},
		{"no tag that waits for a run", func(e *v1alpha1.ImageVerification) {
			for i := range e.Status.Tags[:98] {
				e.Status.Tags[i].Run = 0
			}
		}, all(moved), "v098"},
		{"of those that wait the oldest", func(e *v1alpha1.ImageVerification) {
			for i := range e.Status.Tags {
				e.Status.Tags[i].Run = 0
			}
		}, all(moved), "v001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := full(1)
			test.change(e)
			if got := addPush(e, pushed("new", 1000), test.head); got != added {
				t.Fatalf("adding gives %d", got)
			}
			DefaultBounds().complete(e, test.head, start)
			names := e.TagNames()
			if len(names) != v1alpha1.MaxTags || slices.Contains(names, test.want) || !slices.Contains(names, "new") || !slices.Contains(names, "prod") {
				t.Errorf("%s should have gone; the entry names %q", test.want, names)
			}
			if at, ok := e.TagOf(test.want); !ok || e.Status.MoreTags.Count != 1 || at.PushedAt.IsZero() {
				t.Errorf("the entry tells of %d more, and of %s %+v", e.Status.MoreTags.Count, test.want, at)
			}
			if !strings.HasSuffix(e.Status.TagNames, "... and 1 more") {
				t.Errorf("the table shows %q", e.Status.TagNames)
			}
		})
	}
}

// An entry that an earlier version let grow is read as it is, and shrinks with the next write.
// What that version makes of it afterwards covers less, and nothing wrongly.
func TestAnEntryOfAnEarlierVersionShrinks(t *testing.T) {
	e := full(1)
	long := strings.Repeat("x", 120)
	for n := range 5900 {
		e.Status.Tags = append(e.Status.Tags, v1alpha1.TagStatus{PushRecord: pushed(fmt.Sprintf("%s-%07d", long, n), 1000+n), Run: int32(n % 2)})
	}
	before := newRecord(e)
	DefaultBounds().complete(e, noHeads, start)
	if len(e.Status.Tags) != v1alpha1.MaxTags || e.Status.MoreTags.Count != 5900 || e.Status.MoreTags.Forgotten != 0 {
		t.Fatalf("it names %d tags, and tells of %d more", len(e.Status.Tags), e.Status.MoreTags.Count)
	}
	if at := e.Status.LastPushedAt; at == nil || !at.Time.Equal(start.Add(6899*time.Second)) {
		t.Errorf("last pushed at %v", at)
	}
	after := newRecord(e)
	if !slices.Equal(before.tags, after.tags) {
		t.Error("it covers something else than before")
	}
	lifecycle.RecordCovered(&e.Status, 7, v1alpha1.Cause{})
	if e.Status.MoreTags.Open() || !slices.Equal(newRecord(e).tags, after.tags) {
		t.Error("a run does not cover all, or changes what is covered")
	}
	e.Status.MoreTags = nil // an earlier version does not know it
	for _, t2 := range newRecord(e).tags {
		if m, ok := before.find(t2.key); !ok || m != t2.Moment {
			t.Error("it covers what was not recorded")
		}
	}
}

// What of an entry cannot be read covers nothing.
func TestMoreTagsThatCannotBeReadCoverNothing(t *testing.T) {
	var good v1alpha1.MoreTags
	good.Pack([]v1alpha1.PackedTag{{Key: v1alpha1.KeyOfTag("a"), PushedAt: 1, Run: -1, Source: v1alpha1.SourceSweep}, {Key: v1alpha1.KeyOfTag("b"), PushedAt: -5, Sequence: 1 << 40}})
	if all := good.Unpack(); len(all) != 2 || good.Count != 2 {
		t.Fatalf("unpacked %+v", all)
	}
	for cut := 1; cut < len(good.Packed); cut++ {
		bad := v1alpha1.MoreTags{Count: 2, Packed: good.Packed[:cut]}
		if all := bad.Unpack(); len(all) > 1 {
			t.Errorf("of %d bytes it unpacks %+v", cut, all)
		}
	}
	twice := v1alpha1.MoreTags{Packed: append(slices.Clone(good.Packed), good.Packed...)}
	if all := twice.Unpack(); all != nil {
		t.Errorf("of tags out of order it unpacks %+v", all)
	}
}

// Whatever comes and goes, the pushes that the index keeps of a tag are few.
func TestPushesOfATagDoNotPileUp(t *testing.T) {
	r := &repository{}
	for n := range 40 {
		next := record{digest: fmt.Sprint("d", n)}
		next.add(v1alpha1.KeyOfTag("latest"), push.Moment{PushedAt: int64(n)})
		r.set(next)
	}
	key := v1alpha1.KeyOfTag("latest")
	for n := range 10_000 {
		digest := fmt.Sprint("d", n%2)
		if n%5 == 0 {
			r.remove(digest)
		}
		next := record{digest: digest}
		next.add(key, push.Moment{PushedAt: int64(100 + n/7)})
		r.set(next)
		if head := r.head(key); !head.Has(digest) {
			t.Fatalf("step %d: the head is %+v", n, head)
		}
	}
	for range 10_000 { // a record that goes and comes back as it was
		last := *r.find("d39")
		r.remove("d39")
		r.set(last)
	}
	if n := len(r.pushes[key].heap); n > 200 {
		t.Errorf("%d pushes are kept of 40 digests", n)
	}
}

// The size of what one entry costs to take in.
func BenchmarkRecordOfManyTags(b *testing.B) {
	e := full(1)
	for n := range 5900 {
		e.Status.Tags = append(e.Status.Tags, v1alpha1.TagStatus{PushRecord: pushed(fmt.Sprintf("%0128d", n), n), Run: 1})
	}
	for b.Loop() {
		newRecord(e)
	}
}
