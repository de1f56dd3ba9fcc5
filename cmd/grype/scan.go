package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anchore/grype/grype"
	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/match"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/vulnerability"
	"github.com/anchore/syft/syft"
	syftpkg "github.com/anchore/syft/syft/pkg"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
)

const (
	maxLocations = 5
	maxExamples  = 5
)

// scan finds the vulnerabilities of one image.
func (db *database) scan(dir layout.Dir, img content.Image, temp string) (findings.Image, []findings.Vulnerability, error) {
	single, err := alone(dir, img, temp)
	if err != nil {
		return findings.Image{}, nil, err
	}
	packages, about, _, err := pkg.Provide("oci-dir:"+single, pkg.ProviderConfig{
		SyftProviderConfig: pkg.SyftProviderConfig{SBOMOptions: syft.DefaultCreateSBOMConfig()},
	})
	if err != nil {
		return findings.Image{}, nil, fmt.Errorf("looking for packages with Syft: %w", err)
	}
	looked := findings.Image{
		Platform: img.Config.String(), Digest: img.Manifest.Digest, Distribution: distribution(about), Packages: len(packages),
		Unmatched: db.unmatched(packages, about),
	}
	m := grype.VulnerabilityMatcher{VulnerabilityProvider: db.provider, Matchers: matcher.NewDefaultMatchers(matcher.Config{})}
	matches, _, err := m.FindMatches(packages, about)
	if err != nil {
		return findings.Image{}, nil, fmt.Errorf("looking for vulnerabilities with Grype: %w", err)
	}
	var all []findings.Vulnerability
	for _, found := range matches.Sorted() {
		v := newVulnerability(found, about)
		v.Platform, v.Digest = looked.Platform, looked.Digest
		all = append(all, v)
	}
	return looked, all, nil
}

// alone makes a layout of one image of dir, as Syft takes no other: its index names
// the image only, and its blobs are those of dir.
func alone(dir layout.Dir, img content.Image, temp string) (string, error) {
	single := filepath.Join(temp, img.Manifest.Digest.Hex())
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []content.Descriptor{img.Manifest}})
	if err == nil {
		err = os.MkdirAll(single, 0o750)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(single, "index.json"), index, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(single, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600)
	}
	var blobs string
	if err == nil {
		blobs, err = filepath.Abs(filepath.Join(dir.Path(), "blobs"))
	}
	if err == nil {
		err = os.Symlink(blobs, filepath.Join(single, "blobs"))
	}
	if err != nil {
		return "", fmt.Errorf("making a layout of one image: %w", err)
	}
	return single, nil
}

// distribution is ID:VERSION_ID of the image's os-release.
func distribution(about pkg.Context) string {
	if about.Distro == nil {
		return ""
	}
	return about.Distro.ID() + ":" + about.Distro.VersionString()
}

// unmatched are the packages of a distribution that the database does not know, which
// Grype passes over in silence.
func (db *database) unmatched(packages []pkg.Package, about pkg.Context) []findings.Unmatched {
	if d := about.Distro; d != nil {
		known, err := db.reader.GetOperatingSystems(v6.OSSpecifier{
			Name: d.Name(), MajorVersion: d.MajorVersion(), MinorVersion: d.MinorVersion(), RemainingVersion: d.RemainingVersion(), LabelVersion: d.LabelVersion(),
		})
		if err == nil && len(known) > 0 {
			return nil
		}
	}
	u := findings.Unmatched{Ecosystem: cmp.Or(distribution(about), "a distribution that is not known"), Why: findings.NoRecords}
	for i := range packages {
		p := &packages[i]
		if !slices.Contains([]syftpkg.Type{syftpkg.DebPkg, syftpkg.RpmPkg, syftpkg.ApkPkg, syftpkg.AlpmPkg}, p.Type) {
			continue
		}
		if u.Packages++; len(u.Examples) < maxExamples {
			u.Examples = append(u.Examples, p.Name+"@"+p.Version)
		}
	}
	if u.Packages == 0 {
		return nil
	}
	return []findings.Unmatched{u}
}

// newVulnerability writes down a match of Grype's.
func newVulnerability(m match.Match, about pkg.Context) findings.Vulnerability {
	v := findings.Vulnerability{
		ID: m.Vulnerability.ID, Level: findings.Unknown, FixedIn: m.Vulnerability.Fix.Versions,
		Package: findings.Package{Name: m.Package.Name, Version: m.Package.Version, Ecosystem: ecosystem(m.Package.Type, about), PURL: m.Package.PURL},
	}
	for _, l := range m.Package.Locations.ToSlice() {
		if len(v.Package.Locations) < maxLocations {
			v.Package.Locations = append(v.Package.Locations, strings.TrimPrefix(l.RealPath, "/"))
		}
	}
	for _, r := range m.Vulnerability.RelatedVulnerabilities {
		if r.ID != v.ID && !slices.Contains(v.Aliases, r.ID) {
			v.Aliases = append(v.Aliases, r.ID)
		}
	}
	meta := m.Vulnerability.Metadata
	if meta == nil {
		return v
	}
	v.Level, v.Score = level(meta.Severity), score(meta.Cvss)
	v.URL = meta.DataSource
	v.Summary, _, _ = strings.Cut(meta.Description, "\n")
	return v
}

// level says in CVSS' words how bad Grype calls it.
func level(severity string) findings.Level {
	l := findings.Level(strings.ToLower(severity))
	switch {
	case slices.Contains(findings.Levels(), l):
		return l
	case l == "negligible":
		return findings.Low
	default:
		return findings.Unknown
	}
}

func score(all []vulnerability.Cvss) (worst float64) {
	for _, c := range all {
		worst = max(worst, c.Metrics.BaseScore)
	}
	return worst
}

// ecosystems are the names that OSV has for Syft's types of packages.
var ecosystems = map[syftpkg.Type]string{
	syftpkg.GoModulePkg: "Go", syftpkg.NpmPkg: "npm", syftpkg.PythonPkg: "PyPI", syftpkg.JavaPkg: "Maven", syftpkg.JenkinsPluginPkg: "Maven",
	syftpkg.GemPkg: "RubyGems", syftpkg.RustPkg: "crates.io", syftpkg.PhpComposerPkg: "Packagist", syftpkg.DotnetPkg: "NuGet",
}

func ecosystem(t syftpkg.Type, about pkg.Context) string {
	if name := ecosystems[t]; name != "" {
		return name
	}
	if about.Distro == nil {
		return string(t)
	}
	// As OSV does: Debian:12, Alpine:v3.20 excepted.
	id := about.Distro.ID()
	return strings.ToUpper(id[:1]) + id[1:] + ":" + about.Distro.VersionString()
}

// order sorts the worst first, then by package and identifier.
func order(all []findings.Vulnerability) {
	levels := findings.Levels()
	slices.SortStableFunc(all, func(a, b findings.Vulnerability) int {
		return cmp.Or(
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)),
			cmp.Compare(b.Score, a.Score), cmp.Compare(a.Package.Name, b.Package.Name), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Platform, b.Platform),
		)
	})
}
