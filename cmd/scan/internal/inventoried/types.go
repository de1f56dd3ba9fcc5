package inventoried

import (
	"slices"

	"github.com/anchore/syft/syft/pkg"
)

// OfDistribution reports whether packages of a type belong to a distribution, and so are compared
// with the records for its release.
func OfDistribution(t pkg.Type) bool {
	return slices.Contains([]pkg.Type{pkg.DebPkg, pkg.RpmPkg, pkg.ApkPkg, pkg.AlpmPkg, pkg.PortagePkg}, t)
}

// byEcosystem are the types that are compared only by their ecosystem's name for them.
var byEcosystem = []pkg.Type{
	pkg.DebPkg, pkg.RpmPkg, pkg.AlpmPkg, pkg.PortagePkg, pkg.GemPkg, pkg.PythonPkg, pkg.DotnetPkg, pkg.JavaPkg, pkg.JenkinsPluginPkg,
	pkg.NpmPkg, pkg.GoModulePkg, pkg.RustPkg, pkg.HexPkg, pkg.PhpComposerPkg, pkg.BitnamiPkg, pkg.KbPkg,
}

// ComparedByCPE reports whether packages of a type are compared by their NVD names. As in Grype's
// own command line, packages of ecosystems with their own records are not.
func ComparedByCPE(t pkg.Type) bool { return !slices.Contains(byEcosystem, t) }
