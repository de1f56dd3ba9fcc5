package push_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

var (
	repository = push.Repository{Kind: push.ImageStream, Name: "demo/app", UID: "u1"}
	pull       = mustRepository("registry.example:5000/demo/app")
	start      = time.Date(2026, 11, 21, 1, 26, 0, 0, time.UTC)
)

func mustRepository(s string) image.Repository {
	r, err := image.ParseRepository(s)
	if err != nil {
		panic(err)
	}
	return r
}

// digest makes the digest of a letter.
func digest(letter string) image.Digest {
	d, err := image.ParseDigest("sha256:" + strings.Repeat(letter, 64))
	if err != nil {
		panic(err)
	}
	return d
}

// item is a letter's digest, created so many seconds after the start.
func item(letter string, second int) push.Item {
	return push.Item{ClaimedDigest: digest(letter).String(), Created: start.Add(time.Duration(second) * time.Second)}
}

func tag(name string, items ...push.Item) push.Tag { return push.Tag{ClaimedName: name, Items: items} }

func stream(tags ...push.Tag) push.Stream {
	return push.Stream{Repository: repository, Pull: pull, Tags: tags}
}

// everything runs; nothing else is asked of a digest in these tests.
type everything struct{}

func (everything) Runnable(image.Digest) bool { return true }

// lines prints pushes so that a test row can spell them out.
func lines(r push.Result) []string {
	var got []string
	for _, p := range r.Pushes {
		got = append(got, fmt.Sprintf("%s %s:%s@%s +%d", p.Reason, p.Repository.Name, p.Tag, p.Digest.Hex()[:1], p.PushedAt.Sub(start)/time.Second))
	}
	for _, s := range r.Skips {
		got = append(got, fmt.Sprintf("skip %s %q", s.Reason, s.Tag))
	}
	return got
}

// Each row shows a stream in the states of earlier, and then in its last state.
func TestDetect(t *testing.T) {
	for _, test := range []struct {
		name    string
		earlier []push.Stream
		last    push.Stream
		want    []string
	}{
		{"a stream without tags", nil, stream(), nil},
		{"a tag's first push", []push.Stream{stream()}, stream(tag("latest", item("a", 1))), []string{"NewHead demo/app:latest@a +1"}},
		{"a head that moves", []push.Stream{stream(tag("latest", item("a", 1)))},
			stream(tag("latest", item("b", 2), item("a", 1))), []string{"NewHead demo/app:latest@b +2"}},
		{"the same state again", []push.Stream{stream(tag("latest", item("b", 2), item("a", 1)))},
			stream(tag("latest", item("b", 2), item("a", 1))), nil},
		{"a rollback: A, B, A", []push.Stream{stream(tag("latest", item("b", 2), item("a", 1)))},
			stream(tag("latest", item("a", 3), item("b", 2), item("a", 1))), []string{"NewHead demo/app:latest@a +3"}},
		{"an alias, which copies the time", []push.Stream{stream(tag("latest", item("a", 1)))},
			stream(tag("latest", item("a", 1)), tag("stable", item("a", 1))), []string{"NewHead demo/app:stable@a +1"}},
		{"one event that moves two tags", []push.Stream{stream(tag("a", item("a", 1)), tag("b", item("a", 1)))},
			stream(tag("a", item("b", 2), item("a", 1)), tag("b", item("b", 2), item("a", 1))),
			[]string{"NewHead demo/app:a@b +2", "NewHead demo/app:b@b +2"}},
		{"missed pushes, oldest first", []push.Stream{stream(tag("latest", item("a", 1)))},
			stream(tag("latest", item("d", 4), item("c", 3), item("b", 2), item("a", 1))),
			[]string{"History demo/app:latest@b +2", "History demo/app:latest@c +3", "NewHead demo/app:latest@d +4"}},
		{"a head set back through the status", []push.Stream{stream(tag("v1", item("b", 2), item("a", 1)))},
			stream(tag("v1", item("a", 1))), []string{"NewHead demo/app:v1@a +1"}},
		{"a head edited in place", []push.Stream{stream(tag("v1", item("a", 1)))},
			stream(tag("v1", item("b", 1))), []string{"NewHead demo/app:v1@b +1"}},
		{"a pruned tail of a history that was seen whole", []push.Stream{stream(tag("latest", item("c", 3), item("b", 2), item("a", 1)))},
			stream(tag("latest", item("c", 3))), nil},
		{"the pruned tail back again", []push.Stream{stream(tag("latest", item("c", 3), item("b", 2))), stream(tag("latest", item("c", 3)))},
			stream(tag("latest", item("c", 3), item("b", 2))), nil},
		{"a tag deleted", []push.Stream{stream(tag("v1", item("a", 1)))}, stream(), nil},
		{"the same digest pushed after a delete", []push.Stream{stream(tag("v1", item("a", 1))), stream()},
			stream(tag("v1", item("a", 5))), []string{"NewHead demo/app:v1@a +5"}},
		{"a failed import: no items", nil, stream(tag("bad")), nil},
		{"a failed import onto a tag", []push.Stream{stream(tag("v", item("a", 1)))}, stream(tag("v", item("a", 1))), nil},
		{"a reference: no digest", nil, stream(tag("ref", push.Item{Created: start})), []string{`skip NoDigest "ref"`}},
		{"another incarnation of the stream", []push.Stream{{Repository: push.Repository{Kind: push.ImageStream, Name: "demo/app", UID: "u0"},
			Tags: []push.Tag{tag("v1", item("a", 1))}}}, stream(tag("v1", item("a", 1))), []string{"NewHead demo/app:v1@a +1"}},
		{"no digest", nil, stream(tag("v1", push.Item{ClaimedDigest: "md5", Created: start})), []string{`skip InvalidDigest "v1"`}},
		{"a SHA-256 that is too short", nil, stream(tag("v1", push.Item{ClaimedDigest: "sha256:00", Created: start})), []string{`skip InvalidDigest "v1"`}},
		{"a hostile algorithm", nil, stream(tag("v1", push.Item{ClaimedDigest: "$(id):00", Created: start})), []string{`skip InvalidDigest "v1"`}},
		{"a hostile digest", nil, stream(tag("v1", push.Item{ClaimedDigest: "sha512:00 ", Created: start})), []string{`skip InvalidDigest "v1"`}},
		{"a digest of another algorithm", nil, stream(tag("v1", push.Item{ClaimedDigest: "sha512:" + strings.Repeat("0", 128), Created: start})), []string{`skip DigestUnsupported "v1"`}},
		{"a digest of an algorithm of two parts", nil, stream(tag("v1", push.Item{ClaimedDigest: "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", Created: start})), []string{`skip DigestUnsupported "v1"`}},
		{"a digest of another algorithm below a good head", nil, stream(tag("v1", item("a", 1), push.Item{ClaimedDigest: "sha512:ab", Created: start})),
			[]string{"NewHead demo/app:v1@a +1", `skip DigestUnsupported "v1"`}},
		{"no time", nil, stream(tag("v1", push.Item{ClaimedDigest: digest("a").String()})), []string{`skip InvalidTime "v1"`}},
		{"a bad item below a good head", nil, stream(tag("v1", item("a", 1), push.Item{ClaimedDigest: "x", Created: start})),
			[]string{"NewHead demo/app:v1@a +1", `skip InvalidDigest "v1"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var memory push.Memory
			for _, s := range test.earlier {
				memory.Remember(s)
			}
			got := push.Detect(test.last, &memory, everything{})
			if diff := cmp.Diff(test.want, lines(got)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			memory.Remember(test.last)
			if again := push.Detect(test.last, &memory, everything{}); len(again.Pushes) > 0 {
				t.Errorf("the same state again gives %v", lines(again))
			}
		})
	}
}

// A hostile tag is skipped, and takes none of the others down with it.
func TestAHostileTagDoesNotHideNineteenGoodOnes(t *testing.T) {
	var tags []push.Tag
	for i := range 19 {
		tags = append(tags, tag(fmt.Sprintf("v%d", i), item("a", i)))
	}
	hostile := "x\"'$(reboot)`\n"
	tags = append(tags[:10], append([]push.Tag{tag(hostile, item("b", 1))}, tags[10:]...)...)
	r := push.Detect(stream(tags...), &push.Memory{}, everything{})
	if len(r.Pushes) != 19 {
		t.Errorf("found %d pushes, want 19", len(r.Pushes))
	}
	want := []push.Skip{{Repository: repository, Tag: hostile, Reason: push.InvalidTag}}
	if diff := cmp.Diff(want, r.Skips, cmp.AllowUnexported(image.Digest{})); diff != "" {
		t.Errorf("skips (-want +got):\n%s", diff)
	}
}

func TestPushIsWhole(t *testing.T) {
	elsewhere := mustRepository("quay.example/team/app")
	imported := push.Item{ClaimedDigest: digest("b").String(), Created: start.Add(1500 * time.Millisecond).In(time.FixedZone("", 3600)), Pull: elsewhere}
	got := push.Detect(stream(tag("v1", imported, item("a", 1))), &push.Memory{}, everything{}).Pushes
	want := []push.Push{
		{Repository: repository, Tag: "v1", Digest: digest("a"), PushedAt: start.Add(time.Second), Pull: pull, Reason: push.History},
		{Repository: repository, Tag: "v1", Digest: digest("b"), PushedAt: start.Add(time.Second), Pull: elsewhere, Reason: push.NewHead},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(image.Digest{}, image.Repository{})); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
}

// asked notes which digests it is asked about, and lets none run.
type asked struct{ about []string }

func (a *asked) Runnable(d image.Digest) bool {
	a.about = append(a.about, d.Hex()[:1])
	return false
}

// To ask may cost a request: an item that is no push is never asked about.
func TestRunnableIsAskedOnlyOfPushes(t *testing.T) {
	var memory push.Memory
	memory.Remember(stream(tag("latest", item("a", 1))))
	a := &asked{}
	r := push.Detect(stream(tag("latest", item("a", 1)), tag("x.sig", item("b", 2))), &memory, a)
	if diff := cmp.Diff([]string{"b"}, a.about); diff != "" {
		t.Errorf("asked about (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`skip NotRunnable "x.sig"`}, lines(r)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestForgetMakesHeadsNewButNotHistory(t *testing.T) {
	var memory push.Memory
	other := push.Stream{Repository: push.Repository{Kind: push.ImageStream, Name: "demo/other", UID: "u2"}, Tags: []push.Tag{tag("v1", item("a", 1))}}
	s := stream(tag("latest", item("b", 2), item("a", 1)))
	memory.Forget(repository) // of what was never seen
	memory.Remember(other)
	memory.Remember(s)
	memory.Forget(repository)
	if diff := cmp.Diff([]string{"NewHead demo/app:latest@b +2"}, lines(push.Detect(s, &memory, everything{}))); diff != "" {
		t.Errorf("forgotten stream (-want +got):\n%s", diff)
	}
	if got := lines(push.Detect(other, &memory, everything{})); got != nil {
		t.Errorf("another stream was forgotten too: %v", got)
	}
}

// Whatever a stream claims: no push that is not valid, and none twice.
func FuzzDetect(f *testing.F) {
	good := digest("a").String()
	f.Add("latest", good, good, int64(1), int64(2))
	f.Add("", "", "sha256:", int64(0), int64(-1))
	f.Add("$(x)", good, "x", int64(1)<<62, int64(5))
	f.Fuzz(func(t *testing.T, name, head, older string, created, before int64) {
		if name == "good" {
			return // the API server has no two tags of one name
		}
		s := stream(tag(name, push.Item{ClaimedDigest: head, Created: time.Unix(created, 0)}, push.Item{ClaimedDigest: older, Created: time.Unix(before, 0)}),
			tag("good", item("b", 1)))
		var memory push.Memory
		r := push.Detect(s, &memory, everything{})
		if len(r.Pushes)+len(r.Skips) > 3 {
			t.Errorf("%d results from 3 items", len(r.Pushes)+len(r.Skips))
		}
		found := false
		for _, p := range r.Pushes {
			if !image.ValidTag(p.Tag) || p.Digest.IsZero() || p.PushedAt.IsZero() || p.Reason == "" {
				t.Errorf("an invalid push: %+v", p)
			}
			found = found || p.Tag == "good"
		}
		if !found {
			t.Error("the good tag was not found")
		}
		memory.Remember(s)
		if again := push.Detect(s, &memory, everything{}); len(again.Pushes) > 0 {
			t.Errorf("the same state gives %+v again", again.Pushes)
		}
	})
}

// What is exempt is proven by content alone, remembered with its reason, and bounded.
func TestExemptions(t *testing.T) {
	e := push.NewExemptions()
	artefact := image.Content{Kind: image.ContentImage, OtherConfig: true}
	for _, test := range []struct {
		name    string
		of      string
		content image.Content
		why     image.Runnability
	}{
		{"an artefact", "a", artefact, image.NoImageConfig},
		{"no archive", "b", image.Content{Kind: image.ContentImage, NoArchive: true}, image.NoArchive},
		{"a list of artefacts", "c", image.Content{Kind: image.ContentIndex, Children: []image.Content{artefact}, Complete: true}, image.NoRunnableChild},
		{"a list that was not read whole", "d", image.Content{Kind: image.ContentIndex, Children: []image.Content{artefact}}, ""},
		{"an image", "e", image.Content{Kind: image.ContentImage}, ""},
		{"what was not read", "f", image.Content{}, ""},
		{"what a registry says of an index's child", "9", image.Content{Kind: image.ContentIndex, Complete: true,
			Children: []image.Content{artefact, {Kind: image.ContentBlob, ClaimedBlob: true}}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := digest(test.of)
			if got := e.Exempt(d, test.content); got != (test.why != "") || e.Runnable(d) == got {
				t.Errorf("exempt %t, and then runnable %t", got, e.Runnable(d))
			}
			if got := e.Why(d); got != test.why {
				t.Errorf("exempt as %q, want %q", got, test.why)
			}
		})
	}
	for n := range 70000 {
		d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n+1))
		if err != nil {
			t.Fatal(err)
		}
		e.Exempt(d, artefact)
		if e.Runnable(digest("a")) {
			t.Fatalf("what is asked for again and again was forgotten after %d", n)
		}
	}
	if !e.Runnable(digest("b")) {
		t.Error("what is long past is remembered: it is not bounded")
	}
}
