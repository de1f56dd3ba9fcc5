package guard

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/version"
	syftpkg "github.com/anchore/syft/syft/pkg"
)

var (
	digit     = regexp.MustCompile(`\d`)
	goRelease = regexp.MustCompile(`^(go)?\d+\.\d+`)
)

// written reports whether a name or a version looks as package managers write it. An invisible
// character makes it different for a comparison, but not for a reader.
func written(s string) bool {
	return s == strings.TrimSpace(s) && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
}

// comparable reports whether a matcher can compare the version of p. If it cannot, it finds nothing
// and does not say so.
func comparable(p *pkg.Package) bool {
	v := p.Version
	if !digit.MatchString(v) || strings.EqualFold(v, "unknown") || strings.HasPrefix(v, "(devel)") {
		return false
	}
	if p.Type == syftpkg.GoModulePkg && isMain(p) && strings.HasPrefix(v, "v0.0.0-") {
		return false // the program itself, built from a revision
	}
	format := pkg.VersionFormat(*p)
	if format == version.UnknownFormat {
		return true // compared by digits and letters
	}
	return version.New(v, format).Validate() == nil
}

func isMain(p *pkg.Package) bool {
	m, ok := p.Metadata.(pkg.GolangBinMetadata)
	return ok && m.MainModule == p.Name
}

// unknownToolchain returns the version of Go that compiled a program, if it is not a release. Such
// a program has no comparable standard library.
func unknownToolchain(p *pkg.Package) string {
	m, ok := p.Metadata.(pkg.GolangBinMetadata)
	if !ok || goRelease.MatchString(m.GoCompiledVersion) {
		return ""
	}
	if m.GoCompiledVersion == "" {
		return "unknown"
	}
	return m.GoCompiledVersion
}
