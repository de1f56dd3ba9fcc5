package image

import (
	"encoding/json"
	"strings"
)

// Platform is the platform that an image claims, or the platform of a host.
type Platform struct {
	OS           string   `json:"os"`
	Architecture string   `json:"architecture"`
	Variant      string   `json:"variant,omitempty"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   Features `json:"os.features,omitempty"`
}

// Features are the features of an operating system, each followed by a comma, because a feature
// with an empty name is a requirement too. They are one string so that Platforms are comparable.
type Features string

// UnmarshalJSON reads a list. It keeps what the same key held before, because runtimes may keep
// some of it, and a child that asks for a feature is never the only choice.
func (f *Features) UnmarshalJSON(raw []byte) error {
	var all []string
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for _, feature := range all {
		*f += Features(feature + ",")
	}
	return nil
}

// MarshalJSON writes a list.
func (f Features) MarshalJSON() ([]byte, error) {
	return json.Marshal(strings.Split(strings.TrimSuffix(string(f), ","), ","))
}

// String returns os/architecture[/variant], or "unknown".
func (p Platform) String() string {
	if p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// ParsePlatform parses os/architecture or os/architecture/variant, and reports whether s is one.
func ParsePlatform(s string) (Platform, bool) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return Platform{}, false
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, true
}

// IsPlaced reports whether p names an OS or an architecture. If the platform of an index's child
// names neither, Docker treats it like a missing platform.
func (p *Platform) IsPlaced() bool { return p != nil && (p.OS != "" || p.Architecture != "") }

// NoHost reports whether no host can have the platform p. BuildKit marks attestations in this way,
// and runtimes never choose them.
func (p *Platform) NoHost() bool {
	const unknown = "unknown"
	return p != nil && (strings.EqualFold(p.OS, unknown) || strings.EqualFold(p.Architecture, unknown))
}

// Normalize returns p with the names that containerd uses for comparison.
func (p Platform) Normalize() Platform {
	p.OS = strings.ToLower(p.OS)
	if p.OS == "macos" {
		p.OS = "darwin"
	}
	p.Architecture, p.Variant = normalize(strings.ToLower(p.Architecture), strings.ToLower(p.Variant))
	return p
}

func normalize(architecture, variant string) (string, string) {
	switch architecture {
	case "i386":
		return "386", ""
	case "x86_64", "x86-64", "amd64":
		if variant == "v1" {
			variant = ""
		}
		return "amd64", variant
	case "aarch64", "arm64":
		switch variant {
		case "8", "v8", "v8.0":
			variant = ""
		case "9", "9.0", "v9.0":
			variant = "v9"
		}
		return "arm64", variant
	case "armhf":
		return "arm", "v7"
	case "armel":
		return "arm", "v6"
	case "arm":
		switch variant {
		case "", "7":
			variant = "v7"
		case "5", "6", "8":
			variant = "v" + variant
		}
		return "arm", variant
	default:
		return architecture, variant
	}
}
