package database

import (
	"fmt"
	"regexp"
	"strings"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/version"
	"github.com/anchore/syft/syft/pkg"
)

// ecosystem describes an OSV ecosystem in the scanner's terms: the type of its packages, the
// comparison of their versions and, for a distribution, the release.
type ecosystem struct {
	packages pkg.Type
	versions version.Format
	// system is the distribution's name for itself; empty for a language.
	system string
	// release finds the version in the text after the name.
	release *regexp.Regexp
}

// The releases of distributions. The scanner compares major and minor.
var (
	majorOnly  = regexp.MustCompile(`^v?(?P<major>\d+)$`)
	majorMinor = regexp.MustCompile(`^v?(?P<major>\d+)(?:\.(?P<minor>\d+))?`)
	// "22.04:LTS"; "Pro:22.04:LTS" marks fixes that only customers get.
	ubuntu = regexp.MustCompile(`^(?:Pro:)?(?:FIPS:|FIPS-updates:|FIPS-preview:|Realtime:)?(?P<major>\d+)\.(?P<minor>\d+)`)
	// "enterprise_linux:9::appstream", "rhel_eus:9.2::baseos".
	redHat = regexp.MustCompile(`^[a-z_]+:(?P<major>\d+)(?:\.\d+)?(?:$|:)`)
	suse   = regexp.MustCompile(`^Linux Enterprise (?:Server|Module for [A-Za-z -]+?)(?: for SAP Applications)? (?P<major>\d+)(?: SP(?P<minor>\d+))?`)
)

var ecosystems = map[string]ecosystem{
	"crates.io": {packages: pkg.RustPkg, versions: version.SemanticFormat},
	"Go":        {packages: pkg.GoModulePkg, versions: version.GolangFormat},
	"Hackage":   {packages: pkg.HackagePkg, versions: version.SemanticFormat},
	"Hex":       {packages: pkg.HexPkg, versions: version.SemanticFormat},
	"Maven":     {packages: pkg.JavaPkg, versions: version.MavenFormat},
	"npm":       {packages: pkg.NpmPkg, versions: version.SemanticFormat},
	"NuGet":     {packages: pkg.DotnetPkg, versions: version.SemanticFormat},
	"Packagist": {packages: pkg.PhpComposerPkg, versions: version.SemanticFormat},
	"Pub":       {packages: pkg.DartPubPkg, versions: version.SemanticFormat},
	"PyPI":      {packages: pkg.PythonPkg, versions: version.PythonFormat},
	"RubyGems":  {packages: pkg.GemPkg, versions: version.GemFormat},
	"SwiftURL":  {packages: pkg.SwiftPkg, versions: version.SemanticFormat},

	"Alpine":      {pkg.ApkPkg, version.ApkFormat, "alpine", majorMinor},
	"Debian":      {pkg.DebPkg, version.DebFormat, "debian", majorOnly},
	"Ubuntu":      {pkg.DebPkg, version.DebFormat, "ubuntu", ubuntu},
	"AlmaLinux":   {pkg.RpmPkg, version.RpmFormat, "rhel", majorMinor}, // the scanner looks there for clones
	"Rocky Linux": {pkg.RpmPkg, version.RpmFormat, "rhel", majorMinor},
	"Red Hat":     {pkg.RpmPkg, version.RpmFormat, "rhel", redHat},
	"SUSE":        {pkg.RpmPkg, version.RpmFormat, "sles", suse},
	"Azure Linux": {pkg.RpmPkg, version.RpmFormat, "azurelinux", majorMinor},
	"Photon OS":   {pkg.RpmPkg, version.RpmFormat, "photon", majorMinor},
	"Wolfi":       {pkg.ApkPkg, version.ApkFormat, "wolfi", nil},
	"Chainguard":  {pkg.ApkPkg, version.ApkFormat, "chainguard", nil},
}

// rolling is the version of a distribution without releases.
const rolling = "rolling"

// findEcosystem returns the ecosystem that a record names, or false if the scanner does not know
// it. A distribution without a release is an error, because it is unclear whose packages are meant.
func findEcosystem(name string) (ecosystem, *v6.OperatingSystem, bool, error) {
	base, release, _ := strings.Cut(name, ":")
	e, ok := ecosystems[base]
	if !ok || e.system == "" {
		return e, nil, ok, nil
	}
	if e.release == nil {
		return e, &v6.OperatingSystem{Name: nameOf(e.system), ReleaseID: e.system, LabelVersion: rolling}, true, nil
	}
	m := e.release.FindStringSubmatch(release)
	if m == nil {
		return e, nil, true, fmt.Errorf("the ecosystem %.80q names no known release", name)
	}
	os := &v6.OperatingSystem{Name: nameOf(e.system), ReleaseID: e.system, MajorVersion: m[e.release.SubexpIndex("major")]}
	// Records of Red Hat and its clones apply to all minor releases.
	if i := e.release.SubexpIndex("minor"); i >= 0 && e.system != "rhel" {
		os.MinorVersion = m[i]
	}
	return e, os, true, nil
}

// nameOf returns the scanner's name for a distribution.
func nameOf(id string) string {
	if t, ok := distro.IDMapping[id]; ok {
		return t.String()
	}
	return id
}
