package inventoried

import (
	"slices"

	"github.com/anchore/syft/syft/pkg"
)

// OfDistribution reports whether packages of a type are a distribution's, so that they
// are compared with the records of its release.
func OfDistribution(t pkg.Type) bool {
	return slices.Contains([]pkg.Type{pkg.DebPkg, pkg.RpmPkg, pkg.ApkPkg, pkg.AlpmPkg, pkg.PortagePkg}, t)
}

// byEcosystem are the types that are compared by the name that their ecosystem has for
// them only.
var byEcosystem = []pkg.Type{
	pkg.DebPkg, pkg.RpmPkg, pkg.AlpmPkg, pkg.PortagePkg, pkg.GemPkg, pkg.PythonPkg, pkg.DotnetPkg, pkg.JavaPkg, pkg.JenkinsPluginPkg,
	pkg.NpmPkg, pkg.GoModulePkg, pkg.RustPkg, pkg.HexPkg, pkg.PhpComposerPkg, pkg.BitnamiPkg, pkg.KbPkg,
}

// ComparedByCPE reports whether packages of a type are compared by the names that the
// NVD has for them. Those of ecosystems with records of their own are not, as in Grype's
// own command line.
func ComparedByCPE(t pkg.Type) bool { return !slices.Contains(byEcosystem, t) }
