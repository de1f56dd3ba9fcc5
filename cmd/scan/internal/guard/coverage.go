package guard

import (
	"errors"
	"fmt"
	"strings"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/vulnerability"
	syftpkg "github.com/anchore/syft/syft/pkg"

	"github.com/revet-dev/revet/cmd/scan/internal/inventoried"
)

// Records are the records of a database.
type Records interface {
	Reader() v6.Reader
	Provider() vulnerability.Provider
}

// Coverage asks a database what it has records for. It asks each question once.
type Coverage struct {
	reader   v6.Reader
	provider vulnerability.Provider
	types    map[key]bool
	names    map[key]bool
	nvd      *bool
}

// NewCoverage returns the Coverage of a database.
func NewCoverage(r Records) *Coverage {
	return &Coverage{reader: r.Reader(), provider: r.Provider(), types: map[key]bool{}, names: map[key]bool{}}
}

// release returns the name that the database has for the exact release of a distribution, or nil if
// it does not know the release. In that case Grype itself would use another release of the same
// distribution.
func (c *Coverage) release(d *distro.Distro) (*v6.OSSpecifier, error) {
	spec := v6.OSSpecifier{
		Name: d.Name(), MajorVersion: d.MajorVersion(), MinorVersion: d.MinorVersion(), RemainingVersion: d.RemainingVersion(),
		LabelVersion: d.LabelVersion(), DisableFallback: true,
	}
	found, err := c.systems(spec)
	if err != nil {
		return nil, err
	}
	if spec.MajorVersion == "" && spec.LabelVersion == "" {
		// The image names no release. The database's release can be used only if there is just one.
		for _, os := range found {
			if os.MajorVersion != "" {
				return nil, nil
			}
		}
	}
	if len(found) > 0 {
		return &spec, nil
	}
	if spec.MinorVersion == "" {
		return nil, nil
	}
	// Use records for all minor releases of a major one, such as those of RHEL 9 for 9.4.
	spec.MinorVersion, spec.RemainingVersion = "", ""
	if found, err = c.systems(spec); err != nil || len(found) == 0 {
		return nil, err
	}
	return &spec, nil
}

func (c *Coverage) systems(spec v6.OSSpecifier) ([]v6.OperatingSystem, error) {
	found, err := c.reader.GetOperatingSystems(spec)
	if err != nil {
		return nil, fmt.Errorf("ask the database for the release %s: %w", &spec, err)
	}
	return found, nil
}

// exact returns the database's name for the exact release of d, and d in the form that Grype needs:
// some databases know releases only by number, not by codename.
func (c *Coverage) exact(d *distro.Distro) (*v6.OSSpecifier, *distro.Distro, error) {
	spec, err := c.release(d)
	if spec != nil || err != nil || d.Codename == "" || d.MajorVersion() == "" {
		return spec, d, err
	}
	numbered := *d
	numbered.Codename = ""
	spec, err = c.release(&numbered)
	return spec, &numbered, err
}

// typed reports whether the database has records for a type of package in a release. A nil release
// stands for packages outside of distributions.
func (c *Coverage) typed(t syftpkg.Type, release *v6.OSSpecifier) (bool, error) {
	k := key{string(t), release.String()}
	if known, ok := c.types[k]; ok {
		return known, nil
	}
	os := v6.NoOSSpecified
	if release != nil {
		os = release
	}
	known, err := c.any(&v6.PackageSpecifier{Ecosystem: string(t)}, os)
	if err != nil {
		return false, err
	}
	c.types[k] = known
	return known, nil
}

// named reports whether the database has records for any version of an ecosystem's package.
func (c *Coverage) named(p *pkg.Package) (bool, error) {
	return c.namedIn(p.Type, v6.NoOSSpecified, c.provider.PackageSearchNames(*p))
}

// Speaks reports whether the database has records, for a release, about a package of the
// distribution or about a package it was built from.
func (c *Coverage) Speaks(p *pkg.Package, release *v6.OSSpecifier) (bool, error) {
	names := []string{p.Name}
	for _, u := range p.Upstreams {
		names = append(names, u.Name)
	}
	return c.namedIn(p.Type, release, names)
}

// namedIn reports whether the database has records about one of the names.
func (c *Coverage) namedIn(t syftpkg.Type, release *v6.OSSpecifier, names []string) (bool, error) {
	for _, name := range names {
		k := key{string(t) + " " + release.String(), strings.ToLower(name)}
		known, ok := c.names[k]
		if !ok {
			var err error
			if known, err = c.any(&v6.PackageSpecifier{Ecosystem: string(t), Name: name}, release); err != nil {
				return false, err
			}
			c.names[k] = known
		}
		if known {
			return true, nil
		}
	}
	return false, nil
}

func (c *Coverage) any(spec *v6.PackageSpecifier, os *v6.OSSpecifier) (bool, error) {
	found, err := c.reader.GetAffectedPackages(spec, &v6.GetPackageOptions{OSs: v6.OSSpecifiers{os}, Limit: 1})
	switch {
	case errors.Is(err, v6.ErrOSNotPresent):
		return false, nil
	case errors.Is(err, v6.ErrLimitReached):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("ask the database for records of %s: %w", spec, err)
	}
	return len(found) > 0, nil
}

// hasNVD reports whether the database has records under NVD names.
func (c *Coverage) hasNVD() (bool, error) {
	if c.nvd != nil {
		return *c.nvd, nil
	}
	found, err := c.reader.GetAffectedCPEs(nil, &v6.GetCPEOptions{Limit: 1})
	known := len(found) > 0 || errors.Is(err, v6.ErrLimitReached)
	if err != nil && !known {
		return false, fmt.Errorf("ask the database for records of the NVD: %w", err)
	}
	c.nvd = &known
	return known, nil
}

// wellNamed are the types for which somebody wrote down the NVD names. For other types Syft guesses
// the names.
var wellNamed = map[syftpkg.Type]bool{
	syftpkg.BinaryPkg: true, syftpkg.LinuxKernelPkg: true, syftpkg.LinuxKernelModulePkg: true, syftpkg.WordpressPluginPkg: true,
}

// covered reports whether the database has anything to compare packages of a type with.
func (c *Coverage) covered(p *pkg.Package) (bool, error) {
	known, err := c.typed(p.Type, nil)
	if known || err != nil || !wellNamed[p.Type] || !inventoried.ComparedByCPE(p.Type) || len(p.CPEs) == 0 {
		return known, err
	}
	return c.hasNVD()
}
