package inventoried

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/cpe"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/linux"
	syftpkg "github.com/anchore/syft/syft/pkg"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Package converts everything that a matcher reads from p, except its owners and its locations.
func Package(p *pkg.Package) result.Package {
	out := result.Package{
		Name: p.Name, Version: p.Version, Type: string(p.Type), Language: string(p.Language), PURL: p.PURL, Metadata: metadata(p.Metadata),
	}
	for _, u := range p.Upstreams {
		out.Upstreams = append(out.Upstreams, result.Upstream{Name: u.Name, Version: u.Version})
	}
	if ComparedByCPE(p.Type) {
		for _, c := range p.CPEs {
			out.CPEs = append(out.CPEs, result.CPE{Value: c.Attributes.BindToFmtString(), Source: string(c.Source)})
		}
	}
	out.Licenses = append(out.Licenses, p.Licenses...)
	slices.Sort(out.Licenses)
	out.Licenses = slices.Compact(out.Licenses)
	return out
}

// kinds are the kinds of metadata, by name.
var kinds = map[string]func() any{
	"rpm":           func() any { return new(pkg.RpmMetadata) },
	"apk":           func() any { return new(pkg.ApkMetadata) },
	"java":          func() any { return new(pkg.JavaMetadata) },
	"jvm":           func() any { return new(pkg.JavaVMInstallationMetadata) },
	"golang-binary": func() any { return new(pkg.GolangBinMetadata) },
	"golang-module": func() any { return new(pkg.GolangModMetadata) },
	"golang-source": func() any { return new(pkg.GolangSourceMetadata) },
}

func metadata(of any) *result.Metadata {
	var kind string
	switch m := of.(type) {
	case nil:
		return nil
	case pkg.RpmMetadata:
		kind = "rpm"
	case pkg.ApkMetadata:
		// The owned packages record their owners, so leave out the owned files.
		kind, of = "apk", pkg.ApkMetadata{Arch: m.Arch}
	case pkg.JavaMetadata:
		kind = "java"
		m.ArchiveDigests = nil // only for requests to the Internet
		of = m
	case pkg.JavaVMInstallationMetadata:
		kind = "jvm"
	case pkg.GolangBinMetadata:
		kind = "golang-binary"
	case pkg.GolangModMetadata:
		kind = "golang-module"
	case pkg.GolangSourceMetadata:
		kind = "golang-source"
	default:
		// A new version of the library has an unknown kind. The tests detect that.
		panic(fmt.Sprintf("metadata of the unknown type %T", of))
	}
	raw, err := json.Marshal(of)
	if err != nil {
		panic(err) // plain structs always encode
	}
	return &result.Metadata{Kind: kind, Value: raw}
}

func readMetadata(m *result.Metadata) (any, error) {
	if m == nil {
		return nil, nil
	}
	make, ok := kinds[m.Kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind of metadata %.40q; known are %q", m.Kind, slices.Sorted(maps.Keys(kinds)))
	}
	to := make()
	if err := json.Unmarshal(m.Value, to); err != nil {
		return nil, fmt.Errorf("metadata of the kind %s: %w", m.Kind, err)
	}
	switch v := to.(type) {
	case *pkg.RpmMetadata:
		return *v, nil
	case *pkg.ApkMetadata:
		return *v, nil
	case *pkg.JavaMetadata:
		return *v, nil
	case *pkg.JavaVMInstallationMetadata:
		return *v, nil
	case *pkg.GolangBinMetadata:
		return *v, nil
	case *pkg.GolangModMetadata:
		return *v, nil
	default:
		return *to.(*pkg.GolangSourceMetadata), nil
	}
}

// Distribution returns the distribution of an image, or nil if the image does not name it.
func Distribution(r *result.Release) *distro.Distro {
	if r == nil {
		return nil
	}
	d, err := distro.NewFromRelease(linux.Release{
		ID: r.ID, IDLike: slices.Clone(r.IDLike), Name: r.Name, Version: r.Version, VersionID: r.VersionID,
		VersionCodename: r.Codename, SupportEnd: r.SupportEnd, ExtendedSupport: r.Extended,
	}, distro.DefaultFixChannels())
	if err != nil {
		return nil
	}
	return d
}

// Packages returns the packages of an image. Their identifiers are their indexes.
func Packages(img result.InventoryImage) ([]pkg.Package, error) {
	d := Distribution(img.Release)
	out := make([]pkg.Package, len(img.Packages))
	for i, p := range img.Packages {
		m, err := readMetadata(p.Metadata)
		if err != nil {
			return nil, fmt.Errorf("the inventory's package %.80q: %w", p.Name, err)
		}
		next := pkg.Package{
			ID: pkg.ID(strconv.Itoa(i)), Name: p.Name, Version: p.Version, Type: syftpkg.Type(p.Type), Language: syftpkg.Language(p.Language),
			PURL: p.PURL, Licenses: p.Licenses, Metadata: m, Distro: d,
		}
		for _, u := range p.Upstreams {
			next.Upstreams = append(next.Upstreams, pkg.UpstreamPackage{Name: u.Name, Version: u.Version})
		}
		for _, c := range p.CPEs {
			read, err := cpe.New(c.Value, cpe.Source(c.Source))
			if err != nil {
				return nil, fmt.Errorf("the inventory's package %.80q: %w", p.Name, err)
			}
			next.CPEs = append(next.CPEs, read)
		}
		var at []file.Location
		for _, l := range p.Locations {
			at = append(at, file.NewLocation("/"+l))
		}
		next.Locations = file.NewLocationSet(at...)
		out[i] = next
	}
	for i, p := range img.Packages {
		for _, o := range p.Owners {
			if out[i].RelatedPackages == nil {
				out[i].RelatedPackages = map[artifact.RelationshipType][]*pkg.Package{}
			}
			out[i].RelatedPackages[artifact.OwnershipByFileOverlapRelationship] = append(
				out[i].RelatedPackages[artifact.OwnershipByFileOverlapRelationship], &out[o])
		}
	}
	return out, nil
}
