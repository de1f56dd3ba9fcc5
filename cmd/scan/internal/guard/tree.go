package guard

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/pkg"

	"github.com/revet-dev/revet/cmd/scan/internal/inventoried"
	"github.com/revet-dev/revet/cmd/scan/internal/packages"
	"github.com/revet-dev/revet/cmd/scan/internal/tree"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// reading is one image whose files are held against what was found in it.
type reading struct {
	tree  *tree.Tree
	found *packages.Found
	gaps  Gaps
	// told are the files that a gap is about.
	told map[string]bool
	// known are the names by which links lead to what lies elsewhere.
	known map[string]string
	// empty are files that name no package, and may.
	empty    map[string]bool
	archives Archives
}

// Read tells which files of an image name packages and were not read.
func Read(ctx context.Context, t *tree.Tree, found *packages.Found, archives Archives) ([]result.Gap, error) {
	r := &reading{tree: t, found: found, told: map[string]bool{}, empty: map[string]bool{}, known: map[string]string{}, archives: archives}
	r.databases()
	r.links()
	if err := r.contradiction(); err != nil {
		return nil, err
	}
	err := t.Walk(func(e *layers.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return r.file(ctx, e)
	})
	if err != nil {
		return nil, err
	}
	r.unknowns()
	r.withoutDatabase()
	return r.gaps.All(), nil
}

// unread tells of a file that could not be read.
func (r *reading) unread(subject, name, message string) {
	if !r.told[name] {
		r.told[name] = true
		r.gaps.Add(result.RuleUnreadFiles, subject, message, name)
	}
}

// unknowns tells of what Syft itself could not read.
func (r *reading) unknowns() {
	for _, name := range slices.Sorted(maps.Keys(r.found.Unread)) {
		for _, why := range r.found.Unread[name] {
			if r.harmless(name, why) {
				continue
			}
			cataloger, _, _ := strings.Cut(why, ":")
			r.unread(clip(cataloger), name, "files that name packages could not be read: "+clip(why)+"; repair or remove them")
			break
		}
	}
}

// otherPrograms are the readers of programs that may take one of another language for
// theirs, by a mark that it has by chance. What it is was found, then.
var otherPrograms = []string{"dotnet-deps-binary-cataloger:", "cargo-auditable-binary-cataloger:", "graalvm-native-image-cataloger:"}

// harmless reports whether Syft's word tells of nothing that was missed.
func (r *reading) harmless(name, why string) bool {
	if r.archives[name].costly {
		return true // it was hidden, and is told of
	}
	if r.empty[name] && (strings.Contains(why, "unable to determine packages") || strings.Contains(why, "no package identified")) {
		return true
	}
	if r.found.Evidence[name] && slices.ContainsFunc(otherPrograms, func(c string) bool { return strings.HasPrefix(why, c) }) {
		return true
	}
	// The guard itself says more of a package.json: most are none of a package.
	return strings.HasPrefix(why, "javascript-package-cataloger") && !installedModule(name)
}

// withoutDatabase tells of a distribution none of whose packages was found.
func (r *reading) withoutDatabase() {
	rel := r.found.Release
	if rel == nil || r.told[""] {
		return
	}
	for t, n := range r.found.Types {
		if n > 0 && inventoried.OfDistribution(t) {
			return
		}
	}
	if r.found.Types[pkg.NixPkg] > 0 {
		return
	}
	name := "etc/os-release"
	if _, ok := r.tree.Resolve(name); !ok {
		name = "usr/lib/os-release"
	}
	r.unread("distribution", name, fmt.Sprintf("it says that the image is of the distribution %s, and no package of one was found: perhaps its package database "+
		"was removed; keep the database in the image, or build it without /etc/os-release if it has none of the distribution's packages", clip(rel.ID)))
}

// below reports whether name is in a directory of that path, at the root or anywhere.
func below(name, dir string) bool {
	return strings.HasPrefix(name, dir+"/") || strings.Contains(name, "/"+dir+"/")
}

// inDirectory reports whether name is dir/X, at the root or anywhere.
func inDirectory(name, dir string) bool {
	d := path.Dir(name)
	return d == dir || strings.HasSuffix(d, "/"+dir)
}
