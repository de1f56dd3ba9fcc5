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

// reading compares an image's files with the packages that were found in it.
type reading struct {
	tree  *tree.Tree
	found *packages.Found
	gaps  Gaps
	// told are the files that have a gap.
	told map[string]bool
	// known maps files to the names under which links lead to them.
	known map[string]string
	// empty are files that validly name no package.
	empty    map[string]bool
	archives Archives
}

// Read reports which files of an image name packages and were not read.
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

// unread reports a file that could not be read.
func (r *reading) unread(subject, name, message string) {
	if !r.told[name] {
		r.told[name] = true
		r.gaps.Add(result.RuleUnreadFiles, subject, message, name)
	}
}

// unknowns reports what Syft itself could not read.
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

// otherPrograms are readers of programs that may mistake a program in another language for theirs,
// because of a chance mark. In that case the right reader found it.
var otherPrograms = []string{"dotnet-deps-binary-cataloger:", "cargo-auditable-binary-cataloger:", "graalvm-native-image-cataloger:"}

// harmless reports whether Syft's complaint means that nothing was missed.
func (r *reading) harmless(name, why string) bool {
	if r.archives[name].costly {
		return true // it was hidden from Syft, and is reported
	}
	if r.empty[name] && (strings.Contains(why, "unable to determine packages") || strings.Contains(why, "no package identified")) {
		return true
	}
	if r.found.Evidence[name] && slices.ContainsFunc(otherPrograms, func(c string) bool { return strings.HasPrefix(why, c) }) {
		return true
	}
	// Guard itself checks package.json files, and most do not belong to an installed package.
	return strings.HasPrefix(why, "javascript-package-cataloger") && !installedModule(name)
}

// withoutDatabase reports a distribution without any packages.
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
	r.unread("distribution", name, fmt.Sprintf("it names the distribution %s, but no package of one was found: perhaps its package database "+
		"was removed; keep the database in the image, or, if it has none of the distribution's packages, build it without /etc/os-release", clip(rel.ID)))
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
