package match

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

// maxExamples is how many packages are named of those that were not compared.
const maxExamples = 5

// Packages are those of all images, by what records name.
type Packages struct {
	byName    map[key][]*place
	unmatched map[*inventory.Image]map[reason]*findings.Unmatched
}

type key struct{ ecosystem, name string } // the ecosystem without its release

type reason struct{ ecosystem, why string }

type place struct {
	image   *inventory.Image
	pkg     *inventory.Package
	version string
	parsed  semantic.Version
}

// NewPackages takes the packages of images. known are the ecosystems that there
// are records of, without releases.
func NewPackages(images []inventory.Image, known []string) *Packages {
	p := &Packages{byName: map[key][]*place{}, unmatched: map[*inventory.Image]map[reason]*findings.Unmatched{}}
	for i := range images {
		for j := range images[i].Packages {
			img, pkg := &images[i], &images[i].Packages[j]
			base := osv.Base(pkg.Ecosystem)
			if !slices.Contains(known, base) {
				p.leave(img, pkg, findings.NoRecords)
				continue
			}
			c := pkg.Key()
			parsed, err := semantic.Parse(c.Version, base)
			if err != nil || c.Version == "" || c.Version == "(devel)" || c.Version == "unknown" {
				p.leave(img, pkg, findings.NoVersion)
				continue
			}
			k := key{base, c.Name}
			p.byName[k] = append(p.byName[k], &place{img, pkg, c.Version, parsed})
		}
	}
	return p
}

// leave counts a package that is not compared.
func (p *Packages) leave(img *inventory.Image, pkg *inventory.Package, why string) {
	of := p.unmatched[img]
	if of == nil {
		of = map[reason]*findings.Unmatched{}
		p.unmatched[img] = of
	}
	r := reason{osv.Base(pkg.Ecosystem), why}
	if of[r] == nil {
		of[r] = &findings.Unmatched{Ecosystem: r.ecosystem, Why: why}
	}
	if of[r].Packages++; len(of[r].Examples) < maxExamples {
		of[r].Examples = append(of[r].Examples, pkg.Name+"@"+pkg.Version)
	}
}

// Unmatched returns what of an image was not compared, by ecosystem and reason.
func (p *Packages) Unmatched(img *inventory.Image) []findings.Unmatched {
	var all []findings.Unmatched
	for _, u := range p.unmatched[img] {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b findings.Unmatched) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Why, b.Why))
	})
	return all
}

// Names reports whether a package of that name is among them; the ecosystem is
// one without a release.
func (p *Packages) Names(ecosystem, name string) bool {
	return len(p.byName[key{ecosystem, name}]) > 0
}

// Match returns the vulnerabilities that r tells of.
func (p *Packages) Match(r osv.Record) []findings.Vulnerability {
	if r.Withdrawn != nil {
		return nil
	}
	// A record may name a package more than once, for several releases or ranges.
	found := map[*place]int{}
	var all []findings.Vulnerability
	for _, a := range r.Affected {
		for _, at := range p.byName[key{osv.Base(a.Package.Ecosystem), a.Package.Name}] {
			if !osv.Covers(a.Package.Ecosystem, at.pkg.Ecosystem) {
				continue
			}
			fixed, yes, err := affects(a, at)
			if !yes {
				continue
			}
			title := r.Title()
			if err != nil {
				title = fmt.Sprintf("whether this version is affected cannot be told, as %s; %s", err, title)
			}
			rating := r.Rate(a)
			if i, ok := found[at]; ok {
				v := &all[i]
				v.FixedIn = merge(v.FixedIn, fixed)
				if worse(rating.Level, v.Level) {
					v.Level, v.Score = rating.Level, rating.Score
				}
				continue
			}
			found[at] = len(all)
			all = append(all, findings.Vulnerability{
				ID: r.ID, Aliases: names(r), Level: rating.Level, Score: rating.Score, Summary: title, URL: r.Link(),
				Package: findings.Package{
					Name: at.pkg.Name, Version: at.pkg.Version, Ecosystem: at.pkg.Ecosystem, PURL: at.pkg.PURL, Locations: at.pkg.Locations,
				},
				FixedIn: merge(nil, fixed), Platform: at.image.Platform, Digest: at.image.Digest,
			})
		}
	}
	return all
}

// names are the other names of a vulnerability. Distributions' records name the
// vulnerability that they are about as "upstream".
func names(r osv.Record) []string {
	return merge(r.Aliases, r.Upstream)
}

func merge(all, more []string) []string {
	out := slices.Clone(all)
	for _, s := range more {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func worse(a, b findings.Level) bool {
	levels := findings.Levels()
	return slices.Index(levels, a) < slices.Index(levels, b)
}

// affects reports whether a speaks of the version at hand, and what fixes it. The
// error says why that cannot be told: then it does.
func affects(a osv.Affected, at *place) ([]string, bool, error) {
	yes := slices.Contains(a.Versions, at.version)
	var (
		fixed   []string
		unclear error
	)
	for _, r := range a.Ranges {
		if r.Type != osv.Semver && r.Type != osv.Ecosystem {
			continue
		}
		fix, in, err := within(r, at.parsed, osv.Base(at.pkg.Ecosystem))
		if err != nil {
			unclear = err
			continue
		}
		if in {
			yes = true
			fixed = append(fixed, fix...)
		}
	}
	if yes {
		return fixed, true, nil
	}
	return nil, unclear != nil, unclear
}

// event is an event with its version understood.
type event struct {
	osv.Event
	at      string
	version semantic.Version
}

// within reports whether version is in r, and the fix that ends its part of r.
func within(r osv.Range, own semantic.Version, ecosystem string) ([]string, bool, error) {
	events, err := sorted(r.Events, ecosystem)
	if err != nil {
		return nil, false, err
	}
	in := false
	for _, e := range events {
		reached := true
		if e.at != "0" {
			c, err := own.Compare(e.version)
			if err != nil {
				return nil, false, fmt.Errorf("it cannot be compared with %.80q", e.at)
			}
			reached = c > 0 || c == 0 && e.LastAffected == ""
		}
		switch {
		case e.Introduced != "":
			in = in || reached
		case !in:
		case reached: // a fix, or what was affected last, lies at or before
			in = false
		case e.Fixed != "":
			return []string{e.Fixed}, true, nil
		default:
			return nil, true, nil
		}
	}
	return nil, in, nil
}

// sorted understands and sorts the events: they may come in any order. At the same
// version a fix ends what was before it, a range begins, and one that this version
// is the last of ends, in that order: of ranges that touch, none is lost.
func sorted(events []osv.Event, ecosystem string) ([]event, error) {
	var all []event
	for _, e := range events {
		at := cmp.Or(e.Introduced, e.Fixed, e.LastAffected, e.Limit)
		next := event{Event: e, at: at}
		if at != "0" {
			var err error
			if next.version, err = semantic.Parse(at, ecosystem); err != nil {
				return nil, fmt.Errorf("the record's version %.80q cannot be compared", at)
			}
		}
		if e.Limit == "" { // a limit is for ranges of commits
			all = append(all, next)
		}
	}
	var failed error
	slices.SortStableFunc(all, func(a, b event) int {
		switch {
		case a.at == "0" && b.at == "0":
			return cmp.Compare(a.turn(), b.turn())
		case a.at == "0":
			return -1
		case b.at == "0":
			return 1
		}
		c, err := a.version.Compare(b.version)
		if err != nil {
			failed = fmt.Errorf("the record's versions %.80q and %.80q cannot be compared", a.at, b.at)
		}
		return cmp.Or(c, cmp.Compare(a.turn(), b.turn()))
	})
	return all, failed
}

// turn orders the events of one version.
func (e event) turn() int {
	switch {
	case e.Fixed != "":
		return 0
	case e.Introduced != "":
		return 1
	default:
		return 2
	}
}

// Sort sorts findings: worst first, then by package and identifier.
func Sort(all []findings.Vulnerability) {
	levels := findings.Levels()
	slices.SortStableFunc(all, func(a, b findings.Vulnerability) int {
		return cmp.Or(
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)),
			cmp.Compare(b.Score, a.Score),
			strings.Compare(a.Package.Name, b.Package.Name),
			strings.Compare(a.ID, b.ID),
			strings.Compare(a.Package.PURL, b.Package.PURL),
			strings.Compare(a.Platform, b.Platform),
			strings.Compare(a.Digest.String(), b.Digest.String()))
	})
}
