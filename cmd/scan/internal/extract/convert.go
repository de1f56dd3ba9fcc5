package extract

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	archivemeta "github.com/google/osv-scalibr/extractor/filesystem/language/java/archive/metadata"
	apkmeta "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	dpkgmeta "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"
	rpmmeta "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"
	"github.com/google/osv-scalibr/purl"

	"github.com/revet-dev/revet/pkg/pipeline/inventory"
)

const (
	goEcosystem = "Go"
	stdlib      = "stdlib"
	// nameless stands for distributions that OSV has no name for. Not "Linux": that is
	// the kernel's, and its records would pass for those of the distribution.
	nameless = "Unknown distribution"
	linux    = "Linux"
	// unknown is what the reader of archives calls one that it cannot name.
	unknown = "unknown"
)

// convert returns p as OSV knows it. It returns false for what is no package.
func convert(p *extractor.Package, release map[string]string) (inventory.Package, bool) {
	if p.Name == "" || p.PURLType == purl.TypeMaven && strings.HasPrefix(p.Name, unknown) && p.Version == unknown {
		return inventory.Package{}, false
	}
	out := inventory.Package{Name: p.Name, Version: p.Version, Ecosystem: p.Ecosystem().String()}
	if u := p.PURL(); u != nil {
		out.PURL = u.String()
	}
	if at := p.Location.PathOrEmpty(); at != "" {
		out.Locations = []string{at}
	}
	switch m := p.Metadata.(type) {
	case *dpkgmeta.Metadata:
		// A package built again without a change of its source (+b1) has a version of
		// its own, and so has one of a source of another version.
		out.Compared = compared(p, m.SourceName, m.SourceVersion)
		out.Ecosystem = distributionEcosystem(out.Ecosystem, release)
	case *apkmeta.Metadata:
		out.Compared = compared(p, m.OriginName, "")
		out.Ecosystem = distributionEcosystem(out.Ecosystem, release)
	case *rpmmeta.Metadata:
		if m.Epoch > 0 {
			out.Compared = inventory.Compared{Name: p.Name, Version: fmt.Sprintf("%d:%s", m.Epoch, p.Version)}
		}
		out.Ecosystem = distributionEcosystem(out.Ecosystem, release)
	case *archivemeta.Metadata:
		if m.GroupID != "" && m.ArtifactID != "" {
			out.Name = m.GroupID + ":" + m.ArtifactID
		}
	default:
		named(p, &out)
	}
	return out, true
}

// named is convert for languages whose packages need more than their name.
func named(p *extractor.Package, out *inventory.Package) {
	switch p.PURLType {
	case purl.TypePyPi:
		if name := strings.ToLower(pythonSeparators.ReplaceAllString(p.Name, "-")); name != p.Name {
			out.Compared = inventory.Compared{Name: name, Version: p.Version}
		}
	case purl.TypeGolang:
		if p.Name != "go" {
			return
		}
		// The reader calls the standard library "go"; the database knows it by
		// this name, and its versions in the form of modules.
		out.Name = stdlib
		out.PURL = (&purl.PackageURL{Type: purl.TypeGolang, Name: stdlib, Version: p.Version}).String()
		out.Compared = inventory.Compared{Name: stdlib, Version: goVersion(p.Version)}
	}
}

// compared names the source package, if it has another name or version.
func compared(p *extractor.Package, name, version string) inventory.Compared {
	c := inventory.Compared{Name: p.Name, Version: p.Version}
	if name != "" {
		c.Name = name
	}
	if version != "" {
		c.Version = version
	}
	if c.Name == p.Name && c.Version == p.Version {
		return inventory.Compared{}
	}
	return c
}

var (
	pythonSeparators = regexp.MustCompile(`[-_.]+`)
	goRelease        = regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?(?:(rc|beta)(\d+))?`)
)

// goVersion returns "1.21.0-rc.2" for "1.21rc2": Go's releases in the form of
// modules' versions. What vendors append is left out, as the database does.
func goVersion(v string) string {
	m := goRelease.FindStringSubmatch(v)
	if m == nil {
		return v
	}
	if m[3] == "" {
		m[3] = "0"
	}
	s := m[1] + "." + m[2] + "." + m[3]
	if m[4] != "" {
		s += "-" + m[4] + "." + m[5]
	}
	return s
}

// distribution returns "debian:12".
func distribution(release map[string]string) string {
	id := unquoted(release["ID"])
	if v := unquoted(release["VERSION_ID"]); v != "" && id != "" {
		return id + ":" + v
	}
	return id
}

// distributionEcosystem is the ecosystem of a distribution's packages, with its
// release. Where osv-scalibr leaves the release out, packages would be compared
// with those of all releases; where it knows no ecosystem, with nothing: then it is
// named after the distribution, which the database will not have.
func distributionEcosystem(found string, release map[string]string) string {
	id, v := unquoted(release["ID"]), unquoted(release["VERSION_ID"])
	major, _, _ := strings.Cut(v, ".")
	switch {
	case id == "rocky" && major != "":
		return "Rocky Linux:" + major
	case id == "rhel" && major != "":
		return "Red Hat:enterprise_linux:" + major
	case (found == "" || found == linux) && id != "":
		return nameless + ":" + clip(id)
	case found == "" || found == linux:
		return nameless
	default:
		return found
	}
}

// unquoted strips single quotes, which os-release allows too.
func unquoted(s string) string { return strings.Trim(s, `'`) }
