package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/pkg"

	"github.com/revet-dev/revet/cmd/scan/internal/inventoried"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Judged is what is known about an image's packages before the comparison.
type Judged struct {
	Gaps []result.Gap
	// Distro is the image's distribution. Release is the database's name for its release, or nil if
	// the database does not know it.
	Distro  *distro.Distro
	Release *v6.OSSpecifier
	// Compared says for each package whether the database has something to compare it with.
	Compared []bool
}

// Judge decides which packages of an image can be compared with the database, and reports the gaps
// for the others.
func (c *Coverage) Judge(img result.InventoryImage, packages []pkg.Package, now time.Time) (Judged, error) {
	j := judging{Coverage: c, img: img, packages: packages, now: now, compared: make([]bool, len(packages))}
	if err := j.distribution(); err != nil {
		return Judged{}, err
	}
	for i := range packages {
		if err := j.judge(i, &packages[i]); err != nil {
			return Judged{}, err
		}
	}
	if len(packages) == 0 {
		j.gaps.Add(result.RuleNoPackages, "", "found no package in the image, so nothing could be compared; "+
			"build it with a package database, or with programs that list their packages, or, if it has none, "+
			"add an exception from the rule for its repository to the policy", "")
	}
	return Judged{Gaps: j.gaps.All(), Distro: j.distro, Release: j.release, Compared: j.compared}, nil
}

// judging is the state of judging one image.
type judging struct {
	*Coverage

	img      result.InventoryImage
	packages []pkg.Package
	now      time.Time
	gaps     Gaps
	compared []bool
	// release is the database's name for the image's release, or nil if the database does not know
	// it.
	release *v6.OSSpecifier
	distro  *distro.Distro
	// name is the distribution's name for humans. uncovered says what is wrong with it.
	name, uncovered string
}

func (j *judging) distribution() error {
	r := j.img.Release
	if r == nil {
		j.uncovered = "the image does not name its distribution (no /etc/os-release), so its packages could not be compared; " +
			"build it from an image of a distribution that does"
		return nil
	}
	j.name = j.img.Distribution()
	d := inventoried.Distribution(r)
	if d == nil || derived(r) {
		j.uncovered = fmt.Sprintf("the database has no records of the distribution %s; build the image from a distribution that it knows", j.name)
		return nil
	}
	var err error
	if j.release, j.distro, err = j.exact(d); err != nil {
		return err
	}
	if j.release == nil {
		j.uncovered = fmt.Sprintf("the database has no records for the release %s, and records of other releases do not apply; "+
			"mirror a database that covers it, or build the image from a release that the database knows", j.name)
	}
	message, err := j.unsupported(d, r, j.name, j.now)
	if message != "" {
		j.gaps.Add(result.RuleLimitedSupport, j.name, message, "")
	}
	return err
}

// derived reports whether only ID_LIKE or the display name says which distribution r is. A derived
// distribution has its own versions.
func derived(r *result.Release) bool {
	return inventoried.Distribution(&result.Release{ID: r.ID, VersionID: r.VersionID}) == nil
}

func (j *judging) judge(i int, p *pkg.Package) error {
	example := p.Name + "@" + p.Version
	if inventoried.OfDistribution(p.Type) {
		return j.ofDistribution(i, p, example)
	}
	known, err := j.covered(p)
	if err != nil {
		return err
	}
	if !known {
		if j.delivered(i) {
			return nil
		}
		kind := j.img.Packages[i].Kind()
		j.gaps.Add(result.RuleUncoveredPackages, kind, fmt.Sprintf("the database has no records for packages of the kind %s; "+
			"mirror a database that covers them, or, if they are checked elsewhere, add an exception from the rule to the policy", kind), example)
		return nil
	}
	if toolchain := unknownToolchain(p); toolchain != "" {
		j.gaps.Add(result.RuleUncomparedPackages, "stdlib", "programs were compiled with a Go toolchain that is not a release, so their standard library "+
			"could not be compared; compile them with a release of Go", "stdlib@"+toolchain)
	}
	j.compared[i] = comparable(p) && written(p.Name)
	if j.compared[i] {
		return nil
	}
	if j.delivered(i) {
		return nil
	}
	// A package without any records needs no version. Mostly it is the image's own program.
	if !inventoried.ComparedByCPE(p.Type) && written(p.Name) {
		if known, err = j.named(p); err != nil || !known {
			return err
		}
	}
	kind := j.img.Packages[i].Kind()
	j.gaps.Add(result.RuleUncomparedPackages, kind, fmt.Sprintf("packages of the kind %s, for which there are records, have no version or one that cannot "+
		"be compared, or a name with invisible characters; install them in a way that keeps the version", kind), example)
	return nil
}

// delivered reports whether the file that names a package came with a package of the image's
// distribution that is compared. The distribution's records then cover both.
func (j *judging) delivered(i int) bool {
	return slices.ContainsFunc(j.img.Packages[i].Owners, func(o int) bool {
		return inventoried.OfDistribution(j.packages[o].Type) && j.uncovered == "" && comparable(&j.packages[o])
	})
}

func (j *judging) ofDistribution(i int, p *pkg.Package, example string) error {
	if j.uncovered != "" {
		j.gaps.Add(result.RuleUncoveredRelease, j.name, j.uncovered, example)
		return nil
	}
	known, err := j.typed(p.Type, j.release)
	if err != nil {
		return err
	}
	kind := j.img.Packages[i].Kind()
	switch {
	case !known:
		j.gaps.Add(result.RuleUncoveredPackages, kind, fmt.Sprintf("the database has no records for packages of the kind %s in %s; "+
			"mirror a database that covers them, or build the image without them", kind, j.name), example)
	case !comparable(p) || !written(p.Name) || strings.ContainsFunc(p.Name, unicode.IsSpace):
		j.gaps.Add(result.RuleUncomparedPackages, kind, fmt.Sprintf("packages of the kind %s have no version or one that cannot be compared, or no name; "+
			"install them with the package manager of the distribution", kind), example)
	default:
		j.compared[i] = true
	}
	return nil
}
