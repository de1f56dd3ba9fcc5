package guard

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// file reports a file that names packages and was not read.
func (r *reading) file(ctx context.Context, e *layers.Entry) error {
	r.foreignForm(e)
	r.incomplete(e)
	if e.Type != layers.File {
		return nil
	}
	if err := r.database(ctx, e); err != nil {
		return err
	}
	if len(r.found.At[e.Path]) > 0 {
		if err := r.otherRoot(e); err != nil {
			return err
		}
	}
	switch {
	case java(e.Path) || r.archives[e.Path].why != "":
		return r.archive(e)
	case r.found.Evidence[e.Path]:
		return nil
	}
	for _, k := range kinds {
		if k.is(e.Path) {
			return r.kind(k.subject, k.empty, e)
		}
	}
	return r.program(e)
}

// kinds are kinds of files of which each names a package.
var kinds = []struct {
	subject string
	is      func(name string) bool
	// empty reports whether a file of that kind may name no package.
	empty func(raw []byte) bool
}{
	{"python", func(n string) bool {
		base, dir := path.Base(n), strings.ToLower(path.Base(path.Dir(n)))
		return base == "METADATA" && strings.HasSuffix(dir, "dist-info") || base == "PKG-INFO" && strings.HasSuffix(dir, "egg-info") ||
			strings.HasSuffix(base, ".egg-info")
	}, nil},
	{"gem", func(n string) bool {
		return strings.HasSuffix(n, ".gemspec") && (below(n, "specifications") || below(n, "bundler/gems"))
	}, nil},
	{"npm", installedModule, nil},
	{"composer", func(n string) bool { return hasSuffixAny(n, "vendor/composer/installed.json") }, noComposerPackages},
	{"dotnet", func(n string) bool { return strings.HasSuffix(n, ".deps.json") }, noLibraries},
	{"conda", func(n string) bool { return strings.HasSuffix(n, ".json") && inDirectory(n, "conda-meta") }, nil},
	{"bitnami", func(n string) bool {
		return below(n, "opt/bitnami") && strings.HasPrefix(path.Base(n), ".spdx-") && strings.HasSuffix(n, ".spdx")
	}, nil},
	{"portage", func(n string) bool { return path.Base(n) == "CONTENTS" && below(n, "var/db/pkg") }, nil},
	{"r", func(n string) bool {
		return path.Base(n) == "DESCRIPTION" && (inLibrary(n, "R/library") || inLibrary(n, "R/site-library"))
	}, nil},
}

// installedModule reports whether name is the package.json of an installed package:
// node_modules/NAME/package.json, or node_modules/@SCOPE/NAME/package.json.
func installedModule(name string) bool {
	dir, ok := strings.CutSuffix(name, "/package.json")
	if !ok {
		return false
	}
	at := strings.LastIndex("/"+dir, "/node_modules/")
	if at < 0 {
		return false
	}
	module := ("/" + dir)[at+len("/node_modules/"):]
	switch strings.Count(module, "/") {
	case 0:
		return !strings.HasPrefix(module, ".")
	case 1:
		return strings.HasPrefix(module, "@")
	default:
		return false
	}
}

// inLibrary reports whether name is LIBRARY/PACKAGE/FILE.
func inLibrary(name, library string) bool { return inDirectory(path.Dir(name), library) }

// maxManifest bounds how much is read of a file that may name no package.
const maxManifest = 16 << 20

func (r *reading) kind(subject string, empty func([]byte) bool, e *layers.Entry) error {
	if empty != nil {
		raw, whole, err := r.tree.Read(e, maxManifest)
		if err != nil {
			return err
		}
		if whole && empty(raw) {
			r.empty[e.Path] = true
			return nil
		}
	}
	r.broken(subject, e)
	return nil
}

func (r *reading) broken(subject string, e *layers.Entry) {
	r.unread(subject, e.Path, "files that name packages of the kind "+subject+" are broken or incomplete, so the packages could not be compared; "+
		"reinstall the packages in the build, or remove what is left of them")
}

func noComposerPackages(raw []byte) bool {
	var list []json.RawMessage
	var file struct {
		Packages []json.RawMessage `json:"packages"`
	}
	if json.Unmarshal(raw, &list) == nil {
		return len(list) == 0
	}
	return json.Unmarshal(raw, &file) == nil && len(file.Packages) == 0
}

func noLibraries(raw []byte) bool {
	var file struct {
		Libraries map[string]struct {
			Type string `json:"type"`
		} `json:"libraries"`
	}
	if json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &file) != nil {
		return false
	}
	for _, l := range file.Libraries {
		if l.Type == "package" {
			return false
		}
	}
	return true
}

// incomplete reports a package whose list of files exists, but whose name does not.
func (r *reading) incomplete(e *layers.Entry) {
	base := strings.ToLower(path.Base(e.Path))
	switch {
	case e.Type == layers.Dir && (strings.HasSuffix(base, ".dist-info") || strings.HasSuffix(base, "egg-info")):
		for _, name := range []string{"METADATA", "PKG-INFO"} {
			at := path.Join(e.Path, name)
			if found, ok := r.tree.Resolve(at); ok && (found.Path == at || r.found.Evidence[found.Path]) {
				return // reported on its own
			}
		}
		r.broken("python", e)
	case hasSuffixAny(e.Path, "composer/installed.php"):
		if _, ok := r.tree.Resolve(path.Join(path.Dir(e.Path), "installed.json")); !ok {
			r.broken("composer", e)
		}
	}
}

// program reports a Go or Java program whose list of modules cannot be read.
func (r *reading) program(e *layers.Entry) error {
	const header = 64
	if e.Size < header || r.found.Owned[e.Path] {
		return nil
	}
	f, err := r.tree.Open(e)
	if err != nil {
		return err
	}
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil {
		return nil //nolint:nilerr // a file without first bytes is not a program
	}
	switch {
	case string(magic[:]) == zipMagic || string(magic[:2]) == "#!" && e.Size >= shortest:
		r.renamed(e, f)
	case string(magic[:]) != elf.ELFMAG:
	case packed(f):
		r.unread("packed program", e.Path, "programs are packed (UPX), so their compiled-in packages could not be read; put them into the image unpacked, as they were linked")
	case has(f, ".svm_heap"):
		r.unread("native image", e.Path, "programs were compiled from Java (GraalVM) and do not list their packages, so these could not be compared; "+
			"build them with --enable-sbom=embed, or add an exception from the rule for the image")
	case has(f, ".gopclntab", ".note.go.buildid", ".go.buildinfo", ".data.rel.ro.gopclntab"):
		r.unread("go program", e.Path, "programs were compiled by Go and do not list their modules (their build information was removed), so these could not be compared; "+
			"put them into the image as Go linked them")
	}
	return nil
}

// packed reports whether UPX packed a program. Its marks are near the beginning.
func packed(f *io.SectionReader) bool {
	raw := make([]byte, min(f.Size(), 4096))
	if _, err := f.ReadAt(raw, 0); err != nil {
		return false
	}
	return bytes.Contains(raw, []byte("UPX!"))
}

// shortest bounds a shell script that may precede an archive.
const shortest = 64 << 10

// has reports whether a program has a section with one of the names, such as a section that a
// compiler links into every program.
func has(f *io.SectionReader, names ...string) bool {
	p, err := elf.NewFile(f)
	return err == nil && slices.ContainsFunc(p.Sections, func(s *elf.Section) bool { return slices.Contains(names, s.Name) })
}
