package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func rulesFor(t *testing.T, onExpired v1alpha1.ExpiredPolicy) Rules {
	t.Helper()
	r, err := RulesOf(&v1alpha1.ImageGate{Spec: v1alpha1.ImageGateSpec{MaxAge: metav1.Duration{Duration: time.Hour}, OnExpired: onExpired}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func found(s Standing, at time.Time) Finding { return Finding{Standing: s, At: at} }

func findAs(s Standing) func(string) Finding {
	return func(string) Finding { return Finding{Standing: s} }
}

// write writes a page as the writer does, and returns what it holds then.
func write(p *Page, d *Desired, room int, now time.Time) (digests, ran []string) {
	p.Wrote(p.Next(d, room, now))
	return slices.Sorted(maps.Keys(p.Digests)), slices.Sorted(maps.Keys(p.Ran))
}

// What is written follows what is concluded, and nothing is written twice.
func TestPageFollowsConclusions(t *testing.T) {
	d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
	conclude := func(hex string, f Finding) {
		d.Conclude(hex, f)
		p.Look(hex, d, noon)
	}
	due := func(standing Standing) Urgency { return p.Due(d, noon, findAs(standing)).Urgency }
	conclude("aa", found(Verified, noon))
	conclude("bb", found(Verified, noon.Add(-time.Minute)))
	conclude("cc", found(Unknown, time.Time{}))
	if got := p.Due(d, noon, findAs(Unknown)); got.Urgency != Addition || got.Additions != 2 || !got.Since.Equal(noon) {
		t.Errorf("%+v, want two additions", got)
	}
	if got, _ := write(p, d, 100, noon); !slices.Equal(got, []string{"aa", "bb"}) {
		t.Errorf("the page holds %v", got)
	}
	if want := "2026-06-01T11:59:00Z"; p.Digests["bb"] != want {
		t.Errorf("bb is %s, want %s", p.Digests["bb"], want)
	}
	if u := due(Unknown); u != NoChange {
		t.Errorf("urgency %d is left", u)
	}
	conclude("aa", found(Verified, noon.Add(time.Minute))) // verified anew
	if u := due(Unknown); u != Addition {
		t.Errorf("a newer verdict has urgency %d", u)
	}
	conclude("bb", found(Failed, noon))
	for standing, want := range map[Standing]Urgency{Failed: Revocation, Expired: Expiry, Unknown: Removal} {
		if u := due(standing); u != want {
			t.Errorf("a digest that is %v now has urgency %d, want %d", standing, u, want)
		}
	}
	conclude("bb", found(Verified, noon.Add(-time.Minute))) // before anything was written
	conclude("aa", found(Verified, noon))
	if u := due(Unknown); u != NoChange {
		t.Errorf("what went back has urgency %d", u)
	}
}

// Expired digests are found when they expire, and what ran here stays for 30 days.
func TestExpiry(t *testing.T) {
	for _, test := range []struct {
		policy v1alpha1.ExpiredPolicy
		ran    []string
	}{{v1alpha1.ExpiredWarn, []string{"aa"}}, {v1alpha1.ExpiredDeny, nil}} {
		d, p := NewDesired(rulesFor(t, test.policy)), NewPage(nil, nil)
		look := func(now time.Time) {
			for _, hex := range []string{"aa", "bb", "cc"} {
				p.Look(hex, d, now)
			}
		}
		d.Conclude("aa", found(Verified, noon))
		d.Conclude("bb", found(Verified, noon.Add(time.Minute)))
		for _, hex := range []string{"aa", "cc"} { // cc never passed
			if !d.Saw(hex, noon) || d.Saw(hex, noon.Add(time.Hour)) || !d.Saw(hex, noon.Add(12*time.Hour)) {
				t.Error("when a digest ran is not kept to half a day")
			}
		}
		if got := d.Expired(noon.Add(time.Hour - time.Second)); got != nil {
			t.Errorf("%v expired too early", got)
		}
		if next, ok := d.NextExpiry(); !ok || !next.Equal(noon.Add(time.Hour)) {
			t.Errorf("the next expiry is at %v, %v", next, ok)
		}
		now := noon.Add(time.Hour)
		if got := d.Expired(now); !slices.Equal(got, []string{"aa"}) {
			t.Fatalf("%v expired", got)
		}
		d.Conclude("aa", found(Expired, noon))
		if next, ok := d.NextExpiry(); !ok || !next.Equal(noon.Add(time.Hour+time.Minute)) {
			t.Errorf("the next expiry is at %v, %v", next, ok)
		}
		look(now)
		digests, ran := write(p, d, 100, now)
		if !slices.Equal(digests, []string{"bb"}) || !slices.Equal(ran, test.ran) {
			t.Errorf("%s: the page holds %v and %v that ran", test.policy, digests, ran)
		}
		later := noon.Add(12*time.Hour + RanFor)
		look(later)
		if _, ran := write(p, d, 100, later); ran != nil {
			t.Errorf("%v still counts as running", ran)
		}
		d.Conclude("aa", found(Failed, noon))
		look(now)
		if _, ran := write(p, d, 100, now); ran != nil {
			t.Errorf("%v failed and counts as one that ran", ran)
		}
	}
}

// Where there is no room, what ran here stays and then the newest, whatever came first; and
// what found no room is written as soon as there is some.
func TestPageWithoutRoom(t *testing.T) {
	d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
	for i := range 10 {
		hex := fmt.Sprintf("%02d", i)
		d.Conclude(hex, found(Verified, noon.Add(time.Duration(i)*time.Second)))
		p.Look(hex, d, noon)
	}
	d.Saw("00", noon)
	p.Look("00", d, noon)
	got, _ := write(p, d, 5, noon)
	if want := []string{"00", "06", "07", "08", "09"}; !slices.Equal(got, want) {
		t.Errorf("the page holds %v, want %v", got, want)
	}
	if p.OmittedCount() != 5 {
		t.Errorf("%d found no room, want 5", p.OmittedCount())
	}
	for i := range 10 { // everything is compared again, as after a change of the gate
		p.Look(fmt.Sprintf("%02d", i), d, noon)
	}
	if u := p.Due(d, noon, findAs(Unknown)).Urgency; u != NoChange {
		t.Errorf("the page would be written again and again: urgency %d", u)
	}
	d.Conclude("09", found(Failed, noon))
	p.Look("09", d, noon)
	if got, _ := write(p, d, 5, noon); !slices.Equal(got, []string{"00", "05", "06", "07", "08"}) {
		t.Errorf("the page holds %v", got)
	}
	d.Saw("01", noon) // it runs
	p.Look("01", d, noon)
	if got, _ := write(p, d, 5, noon); !slices.Contains(got, "01") || !slices.Contains(got, "00") {
		t.Errorf("the page holds %v, without what runs", got)
	}
}

// A page that is held loses what has to go, and takes nothing new; what waited comes once it
// is not held any more.
func TestHeldPage(t *testing.T) {
	d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(map[string]string{"aa": stamp(noon.Unix()), "bb": stamp(noon.Unix())}, nil)
	d.Conclude("bb", found(Verified, noon))
	d.Conclude("cc", found(Verified, noon))
	for _, hex := range []string{"aa", "bb", "cc"} {
		p.Look(hex, d, noon)
	}
	p.Hold(true, noon)
	if got, _ := write(p, d, 100, noon); !slices.Equal(got, []string{"bb"}) {
		t.Errorf("the page holds %v", got)
	}
	p.Hold(false, noon)
	if u := p.Due(d, noon, findAs(Unknown)).Urgency; u != Addition {
		t.Errorf("urgency %d, want an addition", u)
	}
	if got, _ := write(p, d, 100, noon); !slices.Equal(got, []string{"bb", "cc"}) {
		t.Errorf("the page holds %v", got)
	}
}

// A page covers another one once it admits all that the other admits and should.
func TestCovers(t *testing.T) {
	d := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn))
	other := NewPage(map[string]string{"aa": stamp(noon.Unix()), "gone": "x"}, nil)
	p := NewPage(map[string]string{}, nil)
	d.Conclude("aa", found(Verified, noon))
	d.Conclude("new", found(Verified, noon))
	for _, hex := range []string{"aa", "new", "gone"} {
		p.Look(hex, d, noon)
	}
	if p.Covers(other, d, noon) {
		t.Error("aa would be refused")
	}
	p.Digests["aa"] = stamp(noon.Unix())
	if !p.Covers(other, d, noon) {
		t.Error("what only waits to be added keeps the division from changing")
	}
	d.Saw("aa", noon)
	other.Ran = map[string]string{"aa": stamp(noon.Unix())}
	p.Look("aa", d, noon)
	if p.Covers(other, d, noon) {
		t.Error("aa would be refused once it expires")
	}
}

// A gate is divided above Split and joined again only at Join, so that it does not go to and
// fro.
func TestShardsHaveHysteresis(t *testing.T) {
	l := LimitsOf(DefaultSplit)
	for _, test := range []struct {
		digests int
		present Shards
		want    Shards
	}{
		{0, 0, 1}, {12_000, 0, 1}, {12_001, 0, 16}, {12_000, 1, 1}, {12_001, 1, 16},
		{12_000, 16, 16}, {9_001, 16, 16}, {9_000, 16, 1}, {9_001, 1, 1},
	} {
		if got := l.Shards(test.digests, test.present); got != test.want {
			t.Errorf("%d digests in %d objects: %d, want %d", test.digests, test.present, got, test.want)
		}
	}
	if l.Total != 190_000 || l.Object*95 > 1_500_000 {
		t.Errorf("%+v: an object has to stay below 1.5 MiB", l)
	}
	if room := l.Room(SixteenShards) * 16; room < l.Total {
		t.Errorf("sixteen objects hold %d, want %d", room, l.Total)
	}
}

// Each digest belongs to exactly one object, which bears its first digit.
func TestObjectNames(t *testing.T) {
	if diff := cmp.Diff([]string{"g"}, OneShard.ObjectNames("g")); diff != "" {
		t.Error(diff)
	}
	names := SixteenShards.ObjectNames("g")
	for _, digit := range "0123456789abcdef" {
		hex := string(digit) + "0f"
		if got, want := names[SixteenShards.Index(hex)], "g."+string(digit); got != want {
			t.Errorf("%s is in %s, want %s", hex, got, want)
		}
		if OneShard.Index(hex) != 0 {
			t.Errorf("%s is in no object", hex)
		}
	}
	// The name of a gate has no dot.
	for _, name := range append(names, TagsName("g")) {
		if !strings.HasPrefix(name, "g.") {
			t.Errorf("gate %s may have an object of that name, too", name)
		}
	}
}

// The newest verdicts stay, whatever the digests are.
func TestPageKeepsTheNewest(t *testing.T) {
	d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
	for hex, age := range map[string]time.Duration{"aa": 0, "bb": time.Second, "cc": 2 * time.Second} {
		d.Conclude(hex, found(Verified, noon.Add(-age)))
		p.Look(hex, d, noon)
	}
	if got, _ := write(p, d, 2, noon); !slices.Equal(got, []string{"aa", "bb"}) {
		t.Errorf("the page holds %v", got)
	}
}

// An index has many images for one run. They take the room of no digest that had its own.
func TestImagesOfIndexesTakeNoRoomOfOthers(t *testing.T) {
	d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
	conclude := func(hex string, at time.Time, ofIndex bool) {
		f := found(Verified, at)
		f.OfIndex = ofIndex
		d.Conclude(hex, f)
		p.Look(hex, d, noon)
	}
	conclude("own", noon.Add(-30*time.Minute), false)
	conclude("turned", noon.Add(-40*time.Minute), true)
	conclude("turned", noon.Add(-40*time.Minute), false)
	for i := range 10 {
		conclude(fmt.Sprint("child", i), noon.Add(time.Duration(i)*time.Second), true)
	}
	if got, _ := write(p, d, 3, noon); !slices.Equal(got, []string{"child9", "own", "turned"}) {
		t.Errorf("the page holds %v", got)
	}
	d.Reset(rulesFor(t, v1alpha1.ExpiredWarn))
	if len(d.ofIndex) != 0 {
		t.Errorf("after a reset %v are left", d.ofIndex)
	}
}

// Only what no entry of its own verifies is verified by an index alone, however old that is.
func TestWhoVouches(t *testing.T) {
	passed := func(d time.Duration) *v1alpha1.Verdict { return verdict(pass, old(d)) }
	for name, test := range map[string]struct {
		evidence []Evidence
		want     bool
	}{
		"an index": {[]Evidence{entry("Passed", passed(time.Hour), child("linux/amd64"))}, true},
		"itself":   {[]Evidence{entry("Passed", passed(time.Hour))}, false},
		"both":     {[]Evidence{entry("Passed", passed(2*time.Hour)), entry("Passed", passed(time.Hour), child("linux/amd64"))}, false},
		"itself, too long ago": {[]Evidence{
			entry("Passed", passed(2*day)), entry("Passed", passed(time.Hour), child("linux/amd64"))}, true},
		"nobody": {[]Evidence{entry("Failed", verdict(fail), child("linux/amd64"))}, false},
	} {
		if got := strict(t).Judge(test.evidence, noon).OfIndex; got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

// A page that is held takes what runs here, as it would be refused otherwise.
func TestHeldPageTakesWhatRuns(t *testing.T) {
	d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
	d.Conclude("aa", found(Verified, noon))
	d.Saw("aa", noon)
	p.Look("aa", d, noon)
	p.Hold(true, noon)
	if got, _ := write(p, d, 100, noon); !slices.Equal(got, []string{"aa"}) {
		t.Errorf("the page holds %v", got)
	}
}
