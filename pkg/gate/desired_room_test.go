package gate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Whatever runs, an object stays within its room: the API server refuses a larger one, and what
// failed could not be removed any more. Whoever makes Pods says what runs.
func TestWhatRanStaysWithinTheRoom(t *testing.T) {
	const n = 10
	for name, test := range map[string]struct {
		room int
		// age is that of all verdicts: above an hour they are expired.
		age time.Duration
		// ofIndex says which digests only an index vouches for.
		ofIndex func(i int) bool
		digests []string
		ran     int
	}{
		"marks go first": {
			room: 12, digests: []string{"00", "01", "02", "03", "04", "05", "06", "07", "08", "09"}, ran: 2},
		"then the oldest verdicts": {
			room: 4, digests: []string{"06", "07", "08", "09"}},
		"of which those of indexes go before": {
			room: 4, ofIndex: func(i int) bool { return i > 5 }, digests: []string{"02", "03", "04", "05"}},
		"what expired": {room: 4, age: 2 * time.Hour, ran: 4},
	} {
		t.Run(name, func(t *testing.T) {
			d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
			for i := range n {
				hex := fmt.Sprintf("%02d", i)
				f := found(Verified, noon.Add(time.Duration(i)*time.Second-test.age))
				if test.age > time.Hour {
					f.Standing, f.Verdict = Expired, verdict(pass)
				}
				f.OfIndex = test.ofIndex != nil && test.ofIndex(i)
				d.Conclude(hex, f)
				d.Saw(hex, noon)
				p.Look(hex, d, noon)
			}
			digests, ran := write(p, d, test.room, noon)
			if len(digests)+len(ran) > test.room {
				t.Errorf("%d digests and %d that ran, in room for %d", len(digests), len(ran), test.room)
			}
			if !slices.Equal(digests, test.digests) || len(ran) != test.ran {
				t.Errorf("%v and %d that ran, want %v and %d", digests, len(ran), test.digests, test.ran)
			}
			if got, want := p.OmittedCount(), n-max(len(test.digests), test.ran); got != want {
				t.Errorf("%d are refused, want %d told", got, want)
			}
			for i := range n { // as after a change of the gate
				p.Look(fmt.Sprintf("%02d", i), d, noon)
			}
			if u := p.Due(d, noon, findAs(Unknown)).Urgency; u != NoChange {
				t.Errorf("the page would be written again and again: urgency %d", u)
			}
			d.Conclude("09", found(Failed, noon))
			p.Look("09", d, noon)
			if digests, ran = write(p, d, test.room, noon); slices.Contains(digests, "09") || slices.Contains(ran, "09") {
				t.Error("09 failed, and is admitted")
			}
		})
	}
}

// Images of indexes, of which one run makes many, and Pods that ask for them take no more than half
// of the room from digests that had a run each, nor once they have expired.
func TestImagesOfIndexesThatRanLeaveRoom(t *testing.T) {
	for name, standing := range map[string]Standing{"verified": Verified, "expired": Expired} {
		t.Run(name, func(t *testing.T) {
			d, p := NewDesired(rulesFor(t, v1alpha1.ExpiredWarn)), NewPage(nil, nil)
			for i := range 20 {
				own, child := fmt.Sprintf("own%02d", i), fmt.Sprintf("child%02d", i)
				d.Conclude(own, found(Verified, noon.Add(-time.Minute)))
				d.Conclude(child, Finding{Standing: standing, At: noon, Verdict: verdict(pass), OfIndex: true})
				d.Saw(child, noon)
				p.Look(own, d, noon)
				p.Look(child, d, noon)
			}
			digests, ran := write(p, d, 10, noon)
			own := 0
			for _, hex := range digests {
				if strings.HasPrefix(hex, "own") {
					own++
				}
			}
			if own != 5 || len(digests)+len(ran) != 10 {
				t.Errorf("%d of their own are left: %v and %v", own, digests, ran)
			}
		})
	}
}

// What expired is an index's too, if no pass of its own is as old.
func TestWhoVouchedForWhatExpired(t *testing.T) {
	index := entry("Passed", verdict(pass, old(2*day)), child("linux/amd64"))
	if !strict(t).Judge([]Evidence{index}, noon).OfIndex {
		t.Error("an expired pass of an index alone counts as one of its own")
	}
	if strict(t).Judge([]Evidence{index, entry("Passed", verdict(pass, old(3*day)))}, noon).OfIndex {
		t.Error("an expired pass of its own counts as one of an index")
	}
}
