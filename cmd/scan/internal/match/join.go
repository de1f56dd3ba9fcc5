package match

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	v6 "github.com/anchore/grype/grype/db/v6"
	gmatch "github.com/anchore/grype/grype/match"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/vulnerability"

	"github.com/revet-dev/revet/cmd/scan/internal/inventoried"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// one is a vulnerability of a package, with all records about it.
type one struct {
	index   int
	matches []gmatch.Match
	names   map[string]bool
}

// join makes one finding from each vulnerability of each package.
func (m *Matcher) join(img result.InventoryImage, all []pkg.Package, matches []gmatch.Match) ([]result.Vulnerability, error) {
	byPackage := map[int][]*one{}
	for _, found := range matches {
		i, err := strconv.Atoi(string(found.Package.ID))
		if err != nil || i < 0 || i >= len(all) {
			continue
		}
		byPackage[i] = unite(byPackage[i], found, i)
	}
	var out []result.Vulnerability
	for i := range all {
		for _, o := range byPackage[i] {
			v, err := m.finding(img, &all[i], o)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	return dedupe(out), nil
}

// unite adds a match to the vulnerabilities of a package. It merges all vulnerabilities that share
// a name with the match.
func unite(known []*one, found gmatch.Match, i int) []*one {
	next := &one{index: i, matches: []gmatch.Match{found}, names: map[string]bool{}}
	for _, name := range identity(found.Vulnerability) {
		next.names[name] = true
	}
	var rest []*one
	for _, k := range known {
		if !shares(k.names, next.names) {
			rest = append(rest, k)
			continue
		}
		next.matches = append(k.matches, next.matches...)
		for name := range k.names {
			next.names[name] = true
		}
	}
	return append(rest, next)
}

func shares(a, b map[string]bool) bool {
	for name := range a {
		if b[name] {
			return true
		}
	}
	return false
}

// identity returns the names of a vulnerability. A record about several vulnerabilities has only
// its own name.
func identity(v vulnerability.Vulnerability) []string {
	names := names(v)
	cves := 0
	for _, n := range names {
		if strings.HasPrefix(n, "CVE-") {
			cves++
		}
	}
	if cves > 1 {
		return []string{v.ID}
	}
	return names
}

// names returns all names that a record has for a vulnerability. Grype gives the CVE and GHSA
// names; the record has the others.
func names(v vulnerability.Vulnerability) []string {
	all := []string{v.ID}
	add := func(name string) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, r := range v.RelatedVulnerabilities {
		add(r.ID)
	}
	if record, ok := v.Internal.(*v6.VulnerabilityHandle); ok && record.BlobValue != nil {
		for _, name := range record.BlobValue.Aliases {
			add(name)
		}
	}
	return all
}

const malwarePrefix = "MAL-"

// malware reports whether a record is about a malicious package.
func malware(v vulnerability.Vulnerability) bool {
	return slices.ContainsFunc(names(v), func(n string) bool { return strings.HasPrefix(n, malwarePrefix) })
}

func (m *Matcher) finding(img result.InventoryImage, p *pkg.Package, o *one) (result.Vulnerability, error) {
	in := img.Packages[o.index]
	v := result.Vulnerability{
		Package: result.VulnerablePackage{
			Name: p.Name, Version: p.Version, Ecosystem: ecosystem(img, p, in.Kind()), Kind: in.Kind(), PURL: p.PURL, Locations: in.Locations,
		},
		Platform: img.Platform, Digest: img.Digest, Level: result.LevelUnknown,
	}
	o.sort()
	for _, found := range o.matches {
		for _, name := range names(found.Vulnerability) {
			if !slices.Contains(v.Aliases, name) {
				v.Aliases = append(v.Aliases, name)
			}
		}
		for _, fix := range found.Vulnerability.Fix.Versions {
			if fix != "" && !slices.Contains(v.FixedIn, fix) {
				v.FixedIn = append(v.FixedIn, fix)
			}
		}
		v.Malware = v.Malware || malware(found.Vulnerability)
	}
	v.ID = best(v.Aliases)
	v.Aliases = slices.DeleteFunc(v.Aliases, func(n string) bool { return n == v.ID })
	slices.Sort(v.Aliases)
	if err := m.rate(&v, o); err != nil {
		return result.Vulnerability{}, err
	}
	return v, nil
}

// sort puts the records of the package's own distributor first.
func (o *one) sort() {
	slices.SortStableFunc(o.matches, func(a, b gmatch.Match) int {
		return cmp.Or(cmp.Compare(foreign(a), foreign(b)), strings.Compare(a.Vulnerability.Namespace, b.Vulnerability.Namespace),
			strings.Compare(a.Vulnerability.ID, b.Vulnerability.ID))
	})
}

// foreign returns 1 for the NVD's records, because their fixes are upstream versions.
func foreign(m gmatch.Match) int {
	if strings.HasPrefix(m.Vulnerability.Namespace, "nvd") {
		return 1
	}
	return 0
}

// best returns the best-known name.
func best(names []string) string {
	for _, prefix := range []string{malwarePrefix, "CVE-", "GHSA-"} {
		var of []string
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				of = append(of, n)
			}
		}
		// If a record names several CVEs, none of them is the vulnerability. Its own name is.
		if len(of) == 1 {
			return of[0]
		}
	}
	return names[0]
}

// ecosystem returns a name for humans: "debian:12", "go".
func ecosystem(img result.InventoryImage, p *pkg.Package, kind string) string {
	switch {
	case inventoried.OfDistribution(p.Type) && img.Distribution() != "":
		return img.Distribution()
	case kind == "golang":
		return "go"
	default:
		return kind
	}
}

// dedupe merges findings that differ only in the locations of the package.
func dedupe(all []result.Vulnerability) []result.Vulnerability {
	type key struct{ id, name, version, purl string }
	at := map[key]int{}
	var out []result.Vulnerability
	for _, v := range all {
		k := key{v.ID, v.Package.Name, v.Package.Version, v.Package.PURL}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, v)
			continue
		}
		for _, l := range v.Package.Locations {
			if to := &out[i].Package; len(to.Locations) < maxLocations && !slices.Contains(to.Locations, l) {
				to.Locations = append(slices.Clone(to.Locations), l)
			}
		}
	}
	return out
}

const maxLocations = 5

// order sorts findings: malware first, then the worst, then by package and identifier.
func order(all []result.Vulnerability) {
	levels := result.Levels()
	slices.SortStableFunc(all, func(a, b result.Vulnerability) int {
		return cmp.Or(
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(b.Score, a.Score),
			strings.Compare(a.Package.Name, b.Package.Name), strings.Compare(a.ID, b.ID), strings.Compare(a.Package.PURL, b.Package.PURL),
			strings.Compare(a.Platform, b.Platform), strings.Compare(a.Digest.String(), b.Digest.String()))
	})
}

// sameVersion reports whether a distribution's package has the version of the software inside:
// "1.26.12-1+deb12u1" and "1:1.26.12-r0" have "1.26.12".
func sameVersion(inside, packaged string) bool {
	if _, rest, ok := strings.Cut(packaged, ":"); ok {
		packaged = rest
	}
	inside = strings.TrimPrefix(inside, "v")
	if inside == "" || strings.EqualFold(inside, "unknown") {
		return false
	}
	return begins(packaged, inside)
}

// begins reports whether version begins with the complete version start: 1.20 does not begin with
// 1.2.
func begins(version, start string) bool {
	rest, ok := strings.CutPrefix(version, start)
	return ok && (rest == "" || rest[0] < '0' || rest[0] > '9')
}
