package match

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/anchore/grype/grype"
	v6 "github.com/anchore/grype/grype/db/v6"
	gmatch "github.com/anchore/grype/grype/match"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/matcher/dpkg"
	"github.com/anchore/grype/grype/matcher/rpm"
	"github.com/anchore/grype/grype/matcher/stock"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/search"
	"github.com/anchore/grype/grype/version"
	syftpkg "github.com/anchore/syft/syft/pkg"

	"github.com/revet-dev/revet/cmd/scan/internal/guard"
	"github.com/revet-dev/revet/cmd/scan/internal/inventoried"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Matcher compares packages with one database.
type Matcher struct {
	records  guard.Records
	coverage *guard.Coverage
	now      time.Time
}

// New returns a Matcher for records, at the time now.
func New(records guard.Records, now time.Time) *Matcher {
	return &Matcher{records: records, coverage: guard.NewCoverage(records), now: now}
}

// Image compares the packages of an image.
func (m *Matcher) Image(ctx context.Context, img result.InventoryImage) (result.ScannedImage, []result.Vulnerability, error) {
	all, err := inventoried.Packages(img)
	if err != nil {
		return result.ScannedImage{}, nil, err
	}
	judged, err := m.coverage.Judge(img, all, m.now)
	if err != nil {
		return result.ScannedImage{}, nil, broken(err)
	}
	for i := range all {
		all[i].Distro = judged.Distro
	}
	matches, err := m.matches(ctx, img, all, judged)
	if err != nil {
		return result.ScannedImage{}, nil, err
	}
	found, err := m.join(img, all, matches)
	if err != nil {
		return result.ScannedImage{}, nil, broken(err)
	}
	out := result.ScannedImage{
		Platform: img.Platform, Digest: img.Digest, Distribution: img.Distribution(), Packages: len(img.Packages),
		Gaps: slices.Concat(img.Gaps, judged.Gaps),
	}
	guard.Sort(out.Gaps)
	for i := range img.Packages {
		if out.Kinds == nil {
			out.Kinds = map[string]int{}
		}
		out.Kinds[img.Packages[i].Kind()]++
	}
	return out, found, nil
}

// matches returns the matches of all packages, except of those that came with a distribution's
// package. These are compared as the distribution's package, because the distribution knows its
// patches. Malware always counts.
func (m *Matcher) matches(ctx context.Context, img result.InventoryImage, all []pkg.Package, judged guard.Judged) ([]gmatch.Match, error) {
	var own, inherited, unclear []pkg.Package
	for i := range all {
		of, err := m.ofDistribution(img, all, i, judged.Release)
		if err != nil {
			return nil, broken(err)
		}
		switch {
		case img.Packages[i].Private:
		case !judged.Compared[i]:
			unclear = append(unclear, all[i])
		case of:
			inherited = append(inherited, all[i])
		default:
			own = append(own, all[i])
		}
	}
	found, err := m.find(ctx, own)
	if err != nil {
		return nil, err
	}
	also, err := m.find(ctx, inherited)
	if err != nil {
		return nil, err
	}
	for _, f := range also {
		if malware(f.Vulnerability) {
			found = append(found, f)
		}
	}
	also, err = m.malicious(unclear)
	if err != nil {
		return nil, broken(err)
	}
	return append(found, also...), nil
}

// malicious returns the packages without a version that are malicious in every version.
func (m *Matcher) malicious(packages []pkg.Package) ([]gmatch.Match, error) {
	provider := m.records.Provider()
	var out []gmatch.Match
	for _, p := range packages {
		if inventoried.OfDistribution(p.Type) {
			continue
		}
		for _, name := range provider.PackageSearchNames(p) {
			found, err := provider.FindVulnerabilities(search.ByEcosystem(p.Language, p.Type), search.ByPackageName(name))
			if err != nil {
				return nil, fmt.Errorf("ask the database for %.80q: %w", name, err)
			}
			for _, v := range found {
				if malware(v) && (v.Constraint == nil || v.Constraint.Value() == "") {
					out = append(out, gmatch.Match{Vulnerability: v, Package: p})
				}
			}
		}
	}
	return out, nil
}

// config returns the configuration of Grype's own command line.
func config() matcher.Config {
	return matcher.Config{
		Stock: stock.MatcherConfig{UseCPEs: true},
		Dpkg:  dpkg.MatcherConfig{MissingEpochStrategy: version.MissingEpochStrategyZero},
		Rpm:   rpm.MatcherConfig{MissingEpochStrategy: version.MissingEpochStrategyAuto},
	}
}

// headers are kernel headers, which are not the kernel. Grype's own command line ignores them too.
var headers = []gmatch.IgnoreRule{
	{Package: gmatch.IgnoreRulePackage{Name: "kernel-headers", UpstreamName: "kernel", Type: string(syftpkg.RpmPkg)}, MatchType: gmatch.ExactIndirectMatch},
	{Package: gmatch.IgnoreRulePackage{Name: "linux(-.*)?-headers-.*", UpstreamName: "linux.*", Type: string(syftpkg.DebPkg)}, MatchType: gmatch.ExactIndirectMatch},
	{Package: gmatch.IgnoreRulePackage{Name: "linux-libc-dev", UpstreamName: "linux", Type: string(syftpkg.DebPkg)}, MatchType: gmatch.ExactIndirectMatch},
	{Package: gmatch.IgnoreRulePackage{Name: "linux-kbuild-.*", UpstreamName: "linux.*", Type: string(syftpkg.DebPkg)}, MatchType: gmatch.ExactIndirectMatch},
}

func (m *Matcher) find(ctx context.Context, packages []pkg.Package) ([]gmatch.Match, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	// If a query fails, Grype's matchers only log it. Keep the error.
	asked := &listening{Provider: m.records.Provider()}
	v := grype.VulnerabilityMatcher{VulnerabilityProvider: asked, Matchers: matcher.NewDefaultMatchers(config()), IgnoreRules: headers}
	found, _, err := v.FindMatchesContext(ctx, packages, pkg.Context{Distro: packages[0].Distro})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := errors.Join(err, asked.failed()); err != nil {
		return nil, broken(err)
	}
	return found.Sorted(), nil
}

func broken(err error) error {
	return oci.Errorf(vulndb.ReasonBroken, "", "cannot read the vulnerability database: %w; mirror it again", err)
}

// ofDistribution reports whether a package came with a package of the image's distribution, has the
// same version, and is covered by the distribution's records. A package from somebody else fails
// this test, whatever the package manager lists.
func (m *Matcher) ofDistribution(img result.InventoryImage, all []pkg.Package, i int, release *v6.OSSpecifier) (bool, error) {
	if inventoried.OfDistribution(all[i].Type) || release == nil {
		return false, nil
	}
	for _, o := range img.Packages[i].Owners {
		if !inventoried.OfDistribution(all[o].Type) || !sameVersion(all[i].Version, all[o].Version) {
			continue
		}
		if known, err := m.coverage.Speaks(&all[o], release); known || err != nil {
			return known, err
		}
	}
	return false, nil
}

// Name is the scanner's name in findings.
const Name = "grype"

// File compares all images of an inventory.
func (m *Matcher) File(ctx context.Context, stock result.Inventory) (result.Findings, error) {
	out := result.Findings{Digest: stock.Digest, Scanner: result.Tool{Name: Name, Version: libraryVersion()}}
	for _, img := range stock.Images {
		looked, found, err := m.Image(ctx, img)
		if err != nil {
			return result.Findings{}, oci.Within(err, "image "+img.Platform)
		}
		out.Images = append(out.Images, looked)
		out.Vulnerabilities = append(out.Vulnerabilities, found...)
	}
	order(out.Vulnerabilities)
	return out, nil
}
