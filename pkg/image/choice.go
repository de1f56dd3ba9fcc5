package image

import (
	"strconv"
	"strings"
)

// Choice is what the runtimes of a host could take of an index: containerd,
// Docker, and those that use containers/image. It errs on the side of more.
type Choice struct {
	host Platform // normalised
	// anyVariant is true for a host whose variant was not said: it may have any.
	anyVariant bool
	// own is true if the index has a child that comes before those for another
	// architecture or a lesser variant, and sure if it has one that comes before
	// those without a platform, both for whichever runtime.
	own, sure bool
}

// Choose returns the choice that a host of the platform host has of the children
// of an index, each given by its platform, or nil if it has none.
func Choose(host Platform, children []*Platform) Choice {
	c := Choice{host: host.Normalize()}
	// armhf and armel say a variant, too.
	c.anyVariant = host.Variant == "" && (c.host.Architecture != "arm" || strings.EqualFold(host.Architecture, "arm"))
	for _, p := range children {
		if p == nil {
			continue
		}
		own, sure := c.comesFirst(*p)
		c.own, c.sure = c.own || own, c.sure || sure
	}
	return c
}

// Takes reports whether a child with this platform could be taken. A child
// without one, or with an empty one, is a matter for TakesUnplaced.
func (c Choice) Takes(child Platform) bool {
	near, fallback := c.fits(child)
	return near || fallback && !c.own
}

// TakesUnplaced reports whether a child without a platform could be taken whose
// configuration is for the platform config. containerd compares that one;
// containers/image and Docker do not, if nothing else is there.
func (c Choice) TakesUnplaced(config Platform) bool {
	return !c.sure || c.Meets(config)
}

// Meets reports whether an image for this platform runs on the host at all.
func (c Choice) Meets(p Platform) bool {
	near, fallback := c.fits(p)
	return near || fallback
}

// fits tells a child for the host itself from one that runtimes fall back to.
func (c Choice) fits(child Platform) (near, fallback bool) {
	p := child.Normalize()
	// containerd takes a missing system for the host's own.
	if p.OS != c.host.OS && p.OS != "" {
		return false, false
	}
	if p.Architecture != c.host.Architecture {
		switch c.host.Architecture {
		case "amd64":
			return false, p.Architecture == "386"
		case "arm64":
			return false, p.Architecture == "arm"
		default:
			return false, false
		}
	}
	switch {
	case c.anyVariant, p.Variant == c.host.Variant:
		return true, false
	case child.Variant == "" && child.Architecture == c.host.Architecture:
		// containers/image takes a child without a variant for every variant.
		return true, false
	case c.host.Architecture == "arm":
		return false, c.covers(p.Variant)
	default:
		// Which variant a host of this kind finds itself to have depends on the runtime.
		return c.covers(p.Variant), false
	}
}

// covers reports whether hosts of the host's variant run images of variant.
func (c Choice) covers(variant string) bool {
	host, ok := level(c.host)
	other, known := level(Platform{Architecture: c.host.Architecture, Variant: variant})
	return ok && known && (other[0] < host[0] || other[0] == host[0] && other[1] <= host[1])
}

// level orders the variants of an architecture.
func level(p Platform) (v [2]int, ok bool) {
	variant := p.Variant
	if variant == "" {
		switch p.Architecture {
		case "amd64":
			variant = "v1"
		case "arm64":
			variant = "v8"
		case "arm":
			variant = "v7"
		default:
			return v, false
		}
	}
	for i, part := range strings.SplitN(strings.TrimPrefix(variant, "v"), ".", 2) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

// comesFirst reports whether every runtime on the host takes a child with this
// platform before any fallback, and before any child without a platform: it is
// written as all of them write it, and asks for nothing that a host may lack.
func (c Choice) comesFirst(p Platform) (own, sure bool) {
	if p.OS != c.host.OS || p.Architecture != c.host.Architecture || p.OSFeatures != "" || p.OS == "windows" && p.OSVersion != "" {
		return false, false
	}
	switch c.host.Architecture {
	case "arm":
		own = !c.anyVariant && p.Variant == c.host.Variant
		return own, own
	case "arm64":
		// Told of another version, containers/image passes v8 over.
		return p.Variant == "" || p.Variant == "v8", p.Variant == "" || p.Variant == "v8" && c.host.Variant == ""
	default:
		return p.Variant == "", p.Variant == ""
	}
}
