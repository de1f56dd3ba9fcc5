package push

import "slices"

// Moment orders the pushes of one tag of one repository, as one trigger records them.
type Moment struct {
	PushedAt int64 // Unix seconds
	// Sequence orders pushes of repositories that show no times. It is 0 for others.
	Sequence int64
}

// Covers reports whether m is o or a later push. It is true both ways for two pushes that
// have no order: of one second, or of one sequence.
func (m Moment) Covers(o Moment) bool {
	if m.Sequence != 0 || o.Sequence != 0 {
		return m.Sequence >= o.Sequence
	}
	return m.PushedAt >= o.PushedAt
}

// Head is the newest push of a tag. The zero value is none.
type Head struct {
	Moment
	// Digest has it, and so have Ties: their pushes have no order.
	Digest string
	Ties   []string
}

// Raised returns the head after a push of its tag to a digest.
func (h Head) Raised(m Moment, digest string) Head {
	switch {
	case h.Digest == "" || !h.Covers(m):
		return Head{Moment: m, Digest: digest}
	case !m.Covers(h.Moment) || h.Has(digest):
		return h
	default:
		h.Ties = append(slices.Clip(h.Ties), digest)
		return h
	}
}

// Has reports whether a push to the digest is the newest, or one of those.
func (h Head) Has(digest string) bool {
	return h.Digest == digest || slices.Contains(h.Ties, digest)
}

// All returns the digests that have the newest push, in order; none for the zero value.
func (h Head) All() []string {
	if h.Digest == "" {
		return nil
	}
	all := append([]string{h.Digest}, h.Ties...)
	slices.Sort(all)
	return all
}
