package gate

import (
	"fmt"
	"slices"
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
			d.Conclude("09", found(Failed, noon))
			p.Look("09", d, noon)
			if digests, ran = write(p, d, test.room, noon); slices.Contains(digests, "09") || slices.Contains(ran, "09") {
				t.Error("09 failed, and is admitted")
			}
		})
	}
}
