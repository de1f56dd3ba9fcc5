package gate

import (
	"fmt"
	"strings"
)

// Shards is into how many policies the digests of a gate are divided: by their first
// hexadecimal digit, or not at all.
type Shards int

// The divisions.
const (
	OneShard      Shards = 1
	SixteenShards Shards = 16
)

const hexDigits = "0123456789abcdef"

// Limits say how much one object holds. A digest or a digest that ran counts as one.
type Limits struct {
	// Split is how many one object holds before there are sixteen, and Join how few have
	// to be left before there is one again.
	Split, Join int
	// Object is how many one object holds at most. The API server refuses an object of
	// more than 1.5 MiB, which is 16,000.
	Object int
	// Total is how many a gate holds.
	Total int
}

// DefaultSplit is how many digests one object holds before there are sixteen: 1.1 MB.
const DefaultSplit = 12_000

// LimitsOf returns the limits for a number of digests above which there are sixteen objects.
func LimitsOf(split int) Limits {
	return Limits{Split: split, Join: split * 3 / 4, Object: split + split/8, Total: split*16 - split/6}
}

// Shards returns the division for a number of digests, given the present one: 0 for a gate
// that has none yet.
func (l Limits) Shards(digests int, present Shards) Shards {
	if digests > l.Split || (present == SixteenShards && digests > l.Join) {
		return SixteenShards
	}
	return OneShard
}

// Room is how many digests one object of a division holds.
func (l Limits) Room(s Shards) int {
	if s == SixteenShards {
		return min(l.Object, l.Total/int(SixteenShards)+l.Total/100)
	}
	return l.Object
}

// ObjectNames are the names of the VerifiedImages of a gate that hold digests. The name of a
// gate has no dot, so that no two gates have an object of the same name.
func (s Shards) ObjectNames(gate string) []string {
	if s != SixteenShards {
		return []string{gate}
	}
	names := make([]string, 0, len(hexDigits))
	for _, d := range hexDigits {
		names = append(names, fmt.Sprintf("%s.%c", gate, d))
	}
	return names
}

// TagsName is the name of the VerifiedImages of a gate that holds tags.
func TagsName(gate string) string { return gate + ".tags" }

// Index is the number of the object that holds a digest, given as 64 hexadecimal digits.
func (s Shards) Index(hex string) int {
	if s != SixteenShards || hex == "" {
		return 0
	}
	return max(0, strings.IndexByte(hexDigits, hex[0]))
}
