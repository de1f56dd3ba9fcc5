package guard

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/cmd/scan/internal/tree"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

const (
	// maxNested bounds the bytes of nested archives that are unpacked for an image.
	maxNested = 1 << 30
	// maxOne bounds the size of one nested archive, because it is read into memory.
	maxOne   = 128 << 20
	maxDepth = 4
	maxFiles = 200_000
	// maxAbout bounds the files in an archive that describe it, because Syft reads all of them into
	// memory.
	maxAbout = 32 << 20
)

// Archives lists by path the Java archives that must not be read in full, and why.
type Archives map[string]looked

type looked struct {
	at, why string
	// costly is true if the archive is too expensive to unpack.
	costly bool
}

// Look checks Java archives, and zip archives that may contain some, before Syft reads them. Syft
// unpacks nested archives to disk without limits on their number, depth or size, and reads the
// files that describe them into memory. Whatever Look finds too expensive is hidden from Syft.
func Look(ctx context.Context, t *tree.Tree) (Archives, error) {
	all, l := Archives{}, looker{budget: maxNested}
	err := t.Walk(func(e *layers.Entry) error {
		if err := ctx.Err(); err != nil || e.Type != layers.File || e.Size == 0 || !java(e.Path) && !zipped(e.Path) {
			return err
		}
		f, err := t.Open(e)
		if err != nil {
			return err
		}
		found := l.inside(f, f.Size(), 0)
		// Nothing is read from a zip archive that contains no Java archives.
		if !java(e.Path) && (!found.costly || found.at == "") {
			return nil
		}
		if found.costly {
			t.Hide(e.Path, found.why)
		}
		if found.why != "" {
			all[e.Path] = found
		}
		return nil
	})
	return all, err
}

func zipped(name string) bool { return strings.EqualFold(path.Ext(name), ".zip") }

// looker looks into archives.
type looker struct {
	budget int64 // bytes of nested archives that may still be read
}

func costly(at, format string, args ...any) looked {
	return looked{at, fmt.Sprintf(format, args...), true}
}

// inside returns what in an archive cannot be read, and why.
func (l *looker) inside(f io.ReaderAt, size int64, depth int) looked {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return looked{why: "it is not an archive, or broken"}
	}
	if len(z.File) > maxFiles {
		return costly("", "more than %d files", maxFiles)
	}
	// A broken file ends the search only if nothing in the archive is too expensive.
	var broken looked
	about, seen := int64(maxAbout), map[string]bool{}
	for _, file := range z.File {
		found := l.file(file, &about, depth)
		if java(file.Name) && seen[file.Name] && !found.costly {
			found = looked{at: file.Name, why: "two archives in it have the same name"}
		}
		seen[file.Name] = true
		if found.costly {
			return found
		}
		if broken.why == "" {
			broken = found
		}
	}
	return broken
}

func (l *looker) file(file *zip.File, about *int64, depth int) looked {
	switch {
	case saysWhat(file.Name):
		if *about -= int64(min(file.UncompressedSize64, maxAbout+1)); *about < 0 {
			return costly(file.Name, "the files that describe a package are too large")
		}
		return looked{}
	case file.UncompressedSize64 == 0 && file.CompressedSize64 == 0:
		return looked{}
	case !java(file.Name):
		// Programs run whatever lies in a library folder, under any name.
		if slices.Contains(libraries, path.Dir(file.Name)) && begins(file, zipMagic) {
			return looked{at: file.Name, why: notRead}
		}
		return looked{}
	case !slices.Contains(javaEndings, path.Ext(file.Name)):
		return looked{at: file.Name, why: notRead}
	case depth >= maxDepth:
		return costly(file.Name, "archives in archives, deeper than %d", maxDepth)
	}
	raw, found := l.nested(file)
	if found.why != "" {
		return found
	}
	found = l.inside(bytes.NewReader(raw), int64(len(raw)), depth+1)
	switch {
	case found.why != "":
		found.at = path.Join(file.Name, found.at) //nolint:gosec // a name for messages, not to open
	case !describes(raw):
		found = looked{at: file.Name, why: "an archive in it does not say which package it is"}
	}
	return found
}

// saysWhat reports whether a file in an archive is one that describes the archive.
func saysWhat(name string) bool {
	name = strings.ToLower(name)
	base := path.Base(name)
	return strings.HasSuffix(name, "pom.properties") || strings.HasSuffix(name, "pom.xml") || path.Dir(name) == "meta-inf" && !java(name) ||
		strings.Contains(base, "licen") || strings.Contains(base, "notice") || strings.Contains(base, "copying")
}

// nested unpacks a file. Go's readers, which Syft uses too, unpack no more bytes of a file than its
// header claims.
func (l *looker) nested(file *zip.File) ([]byte, looked) {
	if file.UncompressedSize64 > maxOne || int64(file.UncompressedSize64) > l.budget {
		return nil, costly(file.Name, "archives in it are too large")
	}
	l.budget -= int64(file.UncompressedSize64)
	if file.Flags&1 != 0 {
		return nil, looked{at: file.Name, why: "an archive in it is encrypted"}
	}
	in, err := file.Open()
	if err != nil {
		return nil, looked{at: file.Name, why: "an archive in it cannot be unpacked"}
	}
	defer in.Close()
	raw, err := io.ReadAll(in)
	if err != nil {
		return nil, looked{at: file.Name, why: "an archive in it is broken"}
	}
	return raw, looked{}
}
