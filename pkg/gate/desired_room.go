package gate

import (
	"cmp"
	"slices"
)

// slot is one place that a digest takes in an object.
type slot struct {
	hex  string
	rank int
	at   string
}

// The ranks of places: what is left out first has the lowest. A digest that ran here has two
// places while it is verified. The one that says so is needed only once the verdict expires, and
// goes before any digest that ran. A digest that an index alone vouches for ranks before the
// others of its kind.
const (
	rankDigest = 2 * iota
	rankRanToo
	rankDigestThatRan
	rankRanOnly
)

// leaveOut takes as many places as there are too many, and returns the digests that are admitted
// no longer.
func (d *Desired) leaveOut(digests, ran map[string]string, over int) []string {
	var slots []slot
	for hex, at := range digests {
		rank := rankDigest
		if _, ok := ran[hex]; ok {
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
	slices.SortFunc(slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at), cmp.Compare(a.hex, b.hex))
	})
	var out []string
	for _, p := range slots[:min(over, len(slots))] {
		if p.rank >= rankRanToo && p.rank < rankDigestThatRan {
			delete(ran, p.hex)
			continue
		}
		delete(digests, p.hex)
		delete(ran, p.hex)
		out = append(out, p.hex)
	}
	return out
}

// own is 0 for a digest that only an index vouches for, and 1 for any other.
func (d *Desired) own(hex string) int {
	if _, ok := d.ofIndex[hex]; ok {
		return 0
	}
	return 1
}
