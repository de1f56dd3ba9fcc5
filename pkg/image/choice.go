package image

import (
	"strconv"
	"strings"
)

// Choice is the set of children of an index that runtimes on a host could take: containerd, Docker,
// and runtimes that use containers/image. In doubt it contains more.
type Choice struct {
	host Platform // normalised
	// anyVariant is true if the host's variant is unknown, so that it may be any.
	anyVariant bool
	// own is true if, for every runtime, the index has a child that comes before children for
	// another architecture or a lesser variant. sure is true if, for every runtime, it has a child
	// that comes before children without a platform.
	own, sure bool
}

// Choose returns the choice of a host with the platform host among the children of an index. Each
// child is given by its platform, or by nil if it has none.
func Choose(host Platform, children []*Platform) Choice {
	c := Choice{host: host.Normalize()}
	// armhf and armel imply a variant, too.
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

// Takes reports whether a runtime could take a child with this platform. For a child with no or an
// empty platform, use TakesUnplaced.
func (c Choice) Takes(child Platform) bool {
	near, fallback := c.fits(child)
	return near || fallback && !c.own
}

// TakesUnplaced reports whether a runtime could take a child without a platform whose configuration
// has the platform config. containerd compares config. containers/image and Docker ignore it if the
// index has nothing better.
func (c Choice) TakesUnplaced(config Platform) bool {
	return !c.sure || c.Meets(config)
}

// Meets reports whether an image for this platform can run on the host at all.
func (c Choice) Meets(p Platform) bool {
	near, fallback := c.fits(p)
	return near || fallback
}

// fits tells a child for the host itself (near) from one that runtimes fall back to.
func (c Choice) fits(child Platform) (near, fallback bool) {
	p := child.Normalize()
	// containerd takes a missing OS for the host's own.
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
		// containers/image takes a child without a variant for any variant.
		return true, false
	case c.host.Architecture == "arm":
		return false, c.covers(p.Variant)
	default:
		// Runtimes differ in the variant that they detect on a host of this kind.
		return c.covers(p.Variant), false
	}
}

// covers reports whether hosts of the host's variant can run images of variant.
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

// comesFirst reports whether every runtime on the host prefers a child with this platform to any
// fallback (own), and to any child without a platform (sure). Such a platform is spelled as every
// runtime spells it, and asks for nothing that a host may lack.
func (c Choice) comesFirst(p Platform) (own, sure bool) {
	if p.OS != c.host.OS || p.Architecture != c.host.Architecture || p.OSFeatures != "" || p.OS == "windows" && p.OSVersion != "" {
		return false, false
	}
	switch c.host.Architecture {
	case "arm":
		own = !c.anyVariant && p.Variant == c.host.Variant
		return own, own
	case "arm64":
		// If containers/image is configured for another variant, it ignores v8.
		return p.Variant == "" || p.Variant == "v8", p.Variant == "" || p.Variant == "v8" && c.host.Variant == ""
	default:
		return p.Variant == "", p.Variant == ""
	}
}
