package oci

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

var platformPattern = regexp.MustCompile(`^[a-z0-9_.-]+/[a-z0-9_.-]+(/[a-z0-9_.-]+)?$`)

// Selection is the platforms that are looked at. The zero value is all of them.
type Selection []Platform

// ParseSelection reads a list such as linux/amd64,linux/arm64/v8. Empty is all.
func ParseSelection(s string) (Selection, error) {
	var all Selection
	for _, p := range strings.Split(s, ",") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if !platformPattern.MatchString(p) {
			return nil, fmt.Errorf("%q is not a platform; write os/architecture or os/architecture/variant, with commas between several", clip(p))
		}
		parts := append(strings.Split(p, "/"), "")
		all = append(all, Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]})
	}
	return all, nil
}

// String returns what ParseSelection reads.
func (s Selection) String() string {
	var all []string
	for _, p := range s {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

// choices are what hosts of the chosen platforms could take of an index; of
// everything, nothing needs to be chosen.
func (s Selection) choices(index []Descriptor) []image.Choice {
	var platforms []*Platform
	for _, d := range index {
		platforms = append(platforms, d.Platform)
	}
	var all []image.Choice
	for _, p := range s {
		all = append(all, image.Choose(p, platforms))
	}
	return all
}
