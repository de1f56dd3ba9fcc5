package gate

import (
	"cmp"
	"slices"
	"time"
)

// omission says what found no room in an object, and what was known of it then.
type omission struct {
	// at is the time of the verdict; 0 if none counts. ran is true if the digest ran here.
	at  int64
	ran bool
	// admitted is true if the digest has a place, and only that it ran found none.
	admitted bool
}

func (d *Desired) omission(hex string, admitted bool, now time.Time) omission {
	return omission{at: d.verified[hex], ran: d.ran(hex, now) != 0, admitted: admitted}
}

// slot is one place that a digest takes in an object.
type slot struct {
	hex  string
	rank int
	at   string
}

// The ranks of places: what is left out first has the lowest. A digest that ran here has two
// places while it is verified. The one that says so is needed only once the verdict expires, and
// goes before any digest. A digest that an index alone vouches for ranks before the others of its
// kind.
const (
	rankRanToo = 2 * iota
	rankDigest
	rankDigestThatRan
	rankRanOnly
)

// leaveOut takes out what does not fit into the room, and notes it in omitted.
func (d *Desired) leaveOut(
	digests, ran map[string]string, omitted map[string]omission, room int, now time.Time,
) {
	if len(digests)+len(ran) <= room {
		return
	}
	slots := d.slots(digests, ran, now)
	slices.SortFunc(slots, compareSlots)
	// An index has many images for one run, and whoever makes Pods says what runs: together
	// these take half of the room at most from digests that each had a run.
	crowd := 0
	for i := len(slots) - 1; i >= 0; i-- {
		if s := &slots[i]; s.rank == rankDigestThatRan || s.rank == rankRanOnly {
			if crowd++; crowd > room/2 {
				s.rank = rankDigest
			}
		}
	}
	slices.SortFunc(slots, compareSlots)
	for _, s := range slots[:max(0, len(slots)-room)] {
		delete(ran, s.hex)
		if s.rank >= rankDigest {
			delete(digests, s.hex)
		}
		omitted[s.hex] = d.omission(s.hex, s.rank < rankDigest, now)
	}
}

func (d *Desired) slots(digests, ran map[string]string, now time.Time) []slot {
	slots := make([]slot, 0, len(digests)+len(ran))
	for hex, at := range digests {
		rank := rankDigest
		if d.ran(hex, now) != 0 {
			rank = rankDigestThatRan
		}
		slots = append(slots, slot{hex, rank + d.own(hex), at})
	}
	for hex, at := range ran {
		rank := rankRanOnly
		if _, ok := digests[hex]; ok {
			rank = rankRanToo
		}
		slots = append(slots, slot{hex, rank + d.own(hex), at})
	}
	return slots
}

func compareSlots(a, b slot) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at), cmp.Compare(a.hex, b.hex))
}

// own is 0 for a digest that only an index vouches for, and 1 for any other.
func (d *Desired) own(hex string) int {
	if _, ok := d.ofIndex[hex]; ok {
		return 0
	}
	return 1
}
