package packages

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	grypepkg "github.com/anchore/grype/grype/pkg"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/linux"
	"github.com/anchore/syft/syft/pkg"
	cpes "github.com/anchore/syft/syft/pkg/cataloger/common/cpe"
	"github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"

	"github.com/revet-dev/revet/cmd/scan/internal/inventoried"
	"github.com/revet-dev/revet/cmd/scan/internal/tree"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	tool = "syft"
	// maxLocations is the number of locations listed for a package.
	maxLocations = 5
	maxRelease   = 64 << 10
)

// Found is the content of an image.
type Found struct {
	Release  *result.Release
	Packages []result.Package
	// Evidence has all paths that packages were read from, without the leading slash.
	Evidence map[string]bool
	// At maps a path to the packages read from it, in the form of Key.
	At map[string]map[string]bool
	// Databases maps the files that distributions' packages were read from to the type of these
	// packages.
	Databases map[string]pkg.Type
	// Owned are the paths that distributions' packages own.
	Owned map[string]bool
	// Unread maps files that could not be read to the reasons.
	Unread map[string][]string
	// Types counts packages by Syft's types.
	Types map[pkg.Type]int

	bom *sbom.SBOM
}

// Tool describes the linked version of Syft.
func Tool() result.Tool {
	t := result.Tool{Name: tool, Version: "unknown"}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			if m.Path == "github.com/anchore/syft" {
				t.Version = m.Version
			}
		}
	}
	return t
}

// Find lists the packages in a tree. about describes the image.
func Find(ctx context.Context, t *tree.Tree, about source.Description) (*Found, error) {
	type result struct {
		bom *sbom.SBOM
		err error
	}
	done := make(chan result, 1)
	// Some parts of Syft ignore the context. They may go on until the program ends, which is soon.
	go func() {
		bom, err := create(ctx, t, about)
		done <- result{bom, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		found := newFound(r.bom)
		found.Release = release(r.bom.Artifacts.LinuxDistribution, t)
		return found, nil
	}
}

func create(ctx context.Context, t *tree.Tree, about source.Description) (bom *sbom.SBOM, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("looking for packages: Syft failed: %v", r)
		}
	}()
	values, err := licences()
	if err != nil {
		return nil, fmt.Errorf("loading the licence texts: %w", err)
	}
	bom, err = syft.CreateSBOM(withValues{ctx, values}, &imageSource{tree: t, about: about}, config())
	if err != nil {
		return nil, fmt.Errorf("looking for packages: %w", err)
	}
	return bom, nil
}

// licences returns a context with a scanner for licence texts. Creating it takes longer than
// searching most images.
var licences = sync.OnceValues(func() (context.Context, error) {
	return syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
})

// withValues is a context that also has the values of another context.
type withValues struct {
	context.Context //nolint:containedctx // it is a context itself

	more context.Context //nolint:containedctx // only for its values
}

// Value implements context.Context.
func (w withValues) Value(key any) any {
	if v := w.Context.Value(key); v != nil {
		return v
	}
	return w.more.Value(key)
}

// config returns Syft's configuration for images, without parts that cost much and find nothing
// here, and without parts that would use the Internet.
func config() *syft.CreateSBOMConfig {
	packages := pkgcataloging.DefaultConfig()
	packages.JavaArchive.UseNetwork = false
	packages.JavaArchive.UseMavenLocalRepository = false
	packages.JavaScript.SearchRemoteLicenses = false
	packages.Golang.SearchRemoteLicenses = false
	packages.Golang.SearchLocalModCacheLicenses = false
	packages.Golang.SearchLocalVendorLicenses = false
	packages.Golang.UsePackagesLib = false
	packages.Python.SearchRemoteLicenses = false
	return syft.DefaultCreateSBOMConfig().
		WithTool(tool, Tool().Version).
		WithPackagesConfig(packages).
		// Do not list files themselves.
		WithoutFiles().
		// nameByCPE adds NVD names later, for the packages that are compared by them.
		WithDataGenerationConfig(cataloging.DataGenerationConfig{GenerateCPEs: false}).
		WithUnknownsConfig(cataloging.UnknownsConfig{}).
		WithCatalogerSelection(cataloging.NewSelectionRequest().
			WithDefaults(pkgcataloging.ImageTag).
			WithAdditions("conda-meta-cataloger")).
		WithParallelism(2)
}

// imageSource is a tree in the form of a Syft source.
type imageSource struct {
	tree  *tree.Tree
	about source.Description
}

// ID implements source.Source.
func (s *imageSource) ID() artifact.ID { return artifact.ID(s.about.ID) }

// FileResolver implements source.Source.
func (s *imageSource) FileResolver(source.Scope) (file.Resolver, error) { return s.tree, nil }

// Describe implements source.Source.
func (s *imageSource) Describe() source.Description { return s.about }

// Close implements source.Source.
func (s *imageSource) Close() error { return nil }

var _ interface {
	source.Source
	io.Closer
} = (*imageSource)(nil)

func newFound(bom *sbom.SBOM) *Found {
	f := &Found{
		bom:      bom,
		Evidence: map[string]bool{}, At: map[string]map[string]bool{}, Databases: map[string]pkg.Type{}, Owned: map[string]bool{}, Unread: map[string][]string{}, Types: map[pkg.Type]int{},
	}
	all := bom.Artifacts.Packages.Sorted()
	for i := range all {
		p := &all[i]
		f.Types[p.Type]++
		if inventoried.ComparedByCPE(p.Type) {
			nameByCPE(p)
		}
		for _, l := range p.Locations.ToSlice() {
			f.Evidence[relative(l.RealPath)] = true
			if l.Annotations[pkg.EvidenceAnnotationKey] == pkg.PrimaryEvidenceAnnotation {
				f.read(relative(l.RealPath), p)
			}
		}
		if owner, ok := p.Metadata.(pkg.FileOwner); ok && inventoried.OfDistribution(p.Type) {
			for _, name := range owner.OwnedFiles() {
				name = relative(name)
				f.Owned[name] = true
				// If /bin is a link to /usr/bin, packages use one name and files the other.
				f.Owned["usr/"+name] = true
			}
		}
	}
	for at, reasons := range bom.Artifacts.Unknowns {
		name := relative(at.RealPath)
		f.Unread[name] = append(f.Unread[name], reasons...)
	}
	private := map[grypepkg.ID]bool{}
	for i := range all {
		if m, ok := all[i].Metadata.(pkg.NpmPackage); ok && m.Private {
			private[grypepkg.ID(all[i].ID())] = true
		}
	}
	f.Packages = convert(grypepkg.FromPackages(all, bom.Relationships, grypepkg.SynthesisConfig{}), private)
	return f
}

// read records that a package was read from a path.
func (f *Found) read(at string, p *pkg.Package) {
	if f.At[at] == nil {
		f.At[at] = map[string]bool{}
	}
	f.At[at][Key(p.Name, p.Version)] = true
	if inventoried.OfDistribution(p.Type) {
		f.Databases[at] = p.Type
	}
}

// Key returns a key for a package in a database. Syft writes a word of its own for a missing
// version.
func Key(name, version string) string {
	return name + "\x00" + cmp.Or(version, cataloging.UnknownStubValue)
}

// nameByCPE adds the names that Syft adds if it is configured to name all packages.
func nameByCPE(p *pkg.Package) {
	for _, c := range p.CPEs {
		if c.Source != "syft-generated" {
			return
		}
	}
	found, ok := cpes.DictionaryFind(*p)
	if !ok {
		found = cpes.Generate(*p)
	}
	p.CPEs = append(p.CPEs, found...)
}

// convert converts packages, in an order that is always the same.
func convert(all []*grypepkg.Package, private map[grypepkg.ID]bool) []result.Package {
	slices.SortStableFunc(all, func(a, b *grypepkg.Package) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.PURL, b.PURL), slices.Compare(places(a), places(b)), cmp.Compare(a.ID, b.ID))
	})
	index := make(map[grypepkg.ID]int, len(all))
	for i, p := range all {
		index[p.ID] = i
	}
	out := make([]result.Package, 0, len(all))
	for i, p := range all {
		next := inventoried.Package(p)
		next.Locations = places(p)
		next.Locations = next.Locations[:min(len(next.Locations), maxLocations)]
		// An installed package came from a registry, whatever it says.
		next.Private = private[p.ID] && !slices.ContainsFunc(next.Locations, func(at string) bool {
			return strings.Contains("/"+at, "/node_modules/")
		})
		for _, owner := range p.RelatedPackages[artifact.OwnershipByFileOverlapRelationship] {
			if o, ok := index[owner.ID]; ok && o != i && !slices.Contains(next.Owners, o) {
				next.Owners = append(next.Owners, o)
			}
		}
		slices.Sort(next.Owners)
		out = append(out, next)
	}
	return out
}

// places returns where a package was read from, or else where it was found.
func places(p *grypepkg.Package) []string {
	var read, all []string
	for _, l := range p.Locations.ToSlice() {
		at := relative(l.FullNestedPath())
		all = append(all, at)
		if l.Annotations[pkg.EvidenceAnnotationKey] == pkg.PrimaryEvidenceAnnotation {
			read = append(read, at)
		}
	}
	if len(read) > 0 {
		return read
	}
	return all
}

func relative(name string) string { return strings.TrimPrefix(name, "/") }

func release(r *linux.Release, t *tree.Tree) *result.Release {
	if r == nil {
		return nil
	}
	out := &result.Release{
		ID: r.ID, IDLike: r.IDLike, Name: r.Name, Version: r.Version, VersionID: r.VersionID,
		Codename: r.VersionCodename, SupportEnd: r.SupportEnd, Extended: r.ExtendedSupport,
	}
	// For Debian, Syft replaces the version with the point release from another file.
	if own := versionID(t); own != "" {
		out.VersionID = own
	}
	return out
}

// versionID returns the version in os-release itself.
func versionID(t *tree.Tree) string {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		e, ok := t.Resolve(name)
		if !ok || e.Type != layers.File {
			continue
		}
		said, err := ReadRelease(t, e)
		if err != nil {
			return ""
		}
		return said.VersionID
	}
	return ""
}

// ReleaseName is the release of a distribution that an os-release names.
type ReleaseName struct{ ID, VersionID string }

// ReadRelease reads an os-release. Of duplicate fields the last one counts, as in a shell.
func ReadRelease(t *tree.Tree, e *layers.Entry) (said ReleaseName, err error) {
	raw, _, err := t.Read(e, maxRelease)
	if err != nil {
		return ReleaseName{}, err
	}
	for line := range strings.Lines(string(raw)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			said.ID = value
		case "VERSION_ID":
			said.VersionID = value
		}
	}
	return said, nil
}
