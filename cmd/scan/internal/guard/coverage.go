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

// Records are those of a database.
type Records interface {
	Reader() v6.Reader
	Provider() vulnerability.Provider
}

// Coverage asks a database what it has records of, each thing once.
type Coverage struct {
	reader   v6.Reader
	provider vulnerability.Provider
	types    map[key]bool
	names    map[key]bool
	nvd      *bool
}

// NewCoverage returns one of a database.
func NewCoverage(r Records) *Coverage {
	return &Coverage{reader: r.Reader(), provider: r.Provider(), types: map[key]bool{}, names: map[key]bool{}}
}

// release returns how the database names the exact release of a distribution; nil if it
// does not know it. Grype itself takes another release of the same distribution then.
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
		// No release is told, and none is right unless there is only one.
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
	// Records that are of all minor releases of a major one: those of RHEL 9 for 9.4.
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

// exact returns how the database names the exact release of d, and d as Grype has to be
// given it: some databases have numbers of releases only, and no codenames.
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

// typed reports whether the database has records of a type of package, of a release or,
// for nil, of none.
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

// named reports whether the database has records of a package of an ecosystem, of any
// version.
func (c *Coverage) named(p *pkg.Package) (bool, error) {
	return c.namedIn(p.Type, v6.NoOSSpecified, c.provider.PackageSearchNames(*p))
}

// Speaks reports whether the database has records, of a release, of a package of the
// distribution or of one that it was built from.
func (c *Coverage) Speaks(p *pkg.Package, release *v6.OSSpecifier) (bool, error) {
	names := []string{p.Name}
	for _, u := range p.Upstreams {
		names = append(names, u.Name)
	}
	return c.namedIn(p.Type, release, names)
}

// namedIn reports whether the database has records of one of the names.
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

// hasNVD reports whether the database has records by the names of the NVD.
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

// wellNamed are the types whose names the NVD knows, as somebody wrote them down. Of
// others Syft guesses.
var wellNamed = map[syftpkg.Type]bool{
	syftpkg.BinaryPkg: true, syftpkg.LinuxKernelPkg: true, syftpkg.LinuxKernelModulePkg: true, syftpkg.WordpressPluginPkg: true,
}

// covered reports whether packages of a type are compared with anything.
func (c *Coverage) covered(p *pkg.Package) (bool, error) {
	known, err := c.typed(p.Type, nil)
	if known || err != nil || !wellNamed[p.Type] || !inventoried.ComparedByCPE(p.Type) || len(p.CPEs) == 0 {
		return known, err
	}
	return c.hasNVD()
}
