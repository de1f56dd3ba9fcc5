package gate

import (
	"cmp"
	"slices"
	"strings"
)

// perTag is what JSON adds to a name and its value: quotes, a colon and a comma.
const perTag = len(`"":"",`)

func (p pin) size() int { return len(p.name) + len(p.value) + perTag }

// owner is the host and the first part of the path, below which one team pushes.
func (p pin) owner() string {
	host, path, _ := strings.Cut(p.name, "/")
	first, _, deep := strings.Cut(path, "/")
	if !deep {
		return host
	}
	return host + "/" + first
}

// inTurns orders pins: pinned ones first, and of these the newest. So that nobody who pushes many
// tags takes the room of others, each owner's come in turn, by the bytes of those before them.
func inTurns(pins []pin) {
	order := func(a, b pin) int {
		if a.pinned != b.pinned {
			if a.pinned {
				return -1
			}
			return 1
		}
		return 0
	}
	newest := func(a, b pin) int {
		return cmp.Or(cmp.Compare(b.pushedAt, a.pushedAt), cmp.Compare(a.name, b.name))
	}
	slices.SortFunc(pins, func(a, b pin) int { return cmp.Or(order(a, b), newest(a, b)) })
	taken := map[string]int{}
	for i := range pins {
		owner := pins[i].owner()
		pins[i].before = taken[owner]
		taken[owner] += pins[i].size()
	}
	slices.SortFunc(pins, func(a, b pin) int {
		return cmp.Or(order(a, b), cmp.Compare(a.before, b.before), newest(a, b))
	})
}

// within keeps the pins that take at most budget bytes.
func within(pins []pin, budget int) PinnedTags {
	inTurns(pins)
	all := PinnedTags{Tags: make(map[string]string, len(pins))}
	for i, pin := range pins {
		if budget -= pin.size(); budget < 0 {
			all.Omitted, all.FirstOmitted = len(pins)-i, pin.name
			break
		}
		all.Tags[pin.name] = pin.value
	}
	return all
}
