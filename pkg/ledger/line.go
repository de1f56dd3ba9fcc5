package ledger

import (
	"cmp"
	"slices"

	"github.com/revet-dev/revet/pkg/push"
)

// line has the pushes of one tag as a heap, the newest first. Pushes that a record no longer
// has stay until they would be the newest, or until there are too many of them: what takes a
// push back need not look for it.
type line struct {
	heap []pushTo
	// most is how many there may be before those are removed that no record has.
	most int
}

// pushTo is a push of a tag to a digest.
type pushTo struct {
	push.Moment
	digest string
}

// after reports whether p is certainly newer than o.
func (p pushTo) after(o pushTo) bool { return !o.Covers(p.Moment) }

// compare orders pushes, the newest first.
func (p pushTo) compare(o pushTo) int {
	switch {
	case p.after(o):
		return -1
	case o.after(p):
		return 1
	default:
		return cmp.Or(cmp.Compare(p.digest, o.digest), cmp.Compare(p.PushedAt, o.PushedAt))
	}
}

// add adds a push; current reports whether a record still has one.
func (l *line) add(p pushTo, current func(pushTo) bool) {
	l.heap = append(l.heap, p)
	l.up(len(l.heap) - 1)
	if len(l.heap) <= max(l.most, 8) {
		return
	}
	l.heap = slices.DeleteFunc(l.heap, func(p pushTo) bool { return !current(p) })
	slices.SortFunc(l.heap, pushTo.compare) // what is sorted is a heap
	l.heap = slices.Compact(l.heap)         // a record may have gone and come back
	l.most = 2 * len(l.heap)
}

// newest returns the pushes that no other one is newer than.
func (l *line) newest(current func(pushTo) bool) []pushTo {
	for len(l.heap) > 0 && !current(l.heap[0]) {
		last := len(l.heap) - 1
		l.heap[0], l.heap[last] = l.heap[last], pushTo{}
		l.heap = l.heap[:last]
		l.down(0)
	}
	var all []pushTo
	var gather func(i int)
	gather = func(i int) {
		if i >= len(l.heap) || l.heap[0].after(l.heap[i]) {
			return
		}
		if current(l.heap[i]) {
			all = append(all, l.heap[i])
		}
		gather(2*i + 1)
		gather(2*i + 2)
	}
	gather(0)
	return all
}

func (l *line) up(i int) {
	for parent := (i - 1) / 2; i > 0 && l.heap[i].after(l.heap[parent]); i, parent = parent, (parent-1)/2 {
		l.heap[i], l.heap[parent] = l.heap[parent], l.heap[i]
	}
}

func (l *line) down(i int) {
	for {
		next := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(l.heap); child++ {
			if l.heap[child].after(l.heap[next]) {
				next = child
			}
		}
		if next == i {
			return
		}
		l.heap[i], l.heap[next] = l.heap[next], l.heap[i]
		i = next
	}
}
