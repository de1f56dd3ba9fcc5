package guard

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

const (
	// maxNested is how many bytes of nested archives are unpacked of an image.
	maxNested = 1 << 30
	// maxOne is how large one nested archive may be, which is read into memory.
	maxOne   = 128 << 20
	maxDepth = 4
	maxFiles = 200_000
)

// javaEndings are how archives of Java's end.
var javaEndings = []string{".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".far", ".lpkg"}

func java(name string) bool {
	return slices.Contains(javaEndings, strings.ToLower(path.Ext(name)))
}

// archive tells of an archive of Java's that could not be read, or not in full.
func (r *reading) archive(e *layers.Entry) error {
	if e.Size == 0 {
		return nil
	}
	f, err := r.tree.Open(e)
	if err != nil {
		return err
	}
	at, why := r.inside(f, f.Size(), 0)
	switch {
	case why != "":
		r.unread("java", path.Join(e.Path, at), "archives of Java's could not be read in full ("+why+"), so that what is in them could not be compared; build them again")
	case r.found.Evidence[e.Path]:
	case !hasClasses(f):
		r.empty[e.Path] = true
	default:
		r.unread("java", e.Path, "archives of Java's do not say which packages they are (no manifest, no pom.properties), so that these could not be compared; build them with a manifest")
	}
	return nil
}

// inside returns what in an archive cannot be read, and why.
func (r *reading) inside(f io.ReaderAt, size int64, depth int) (at, why string) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return "", "it is no archive, or broken"
	}
	if len(z.File) > maxFiles {
		return "", fmt.Sprintf("more than %d files", maxFiles)
	}
	for _, file := range z.File {
		if !java(file.Name) || file.UncompressedSize64 == 0 {
			continue
		}
		if depth >= maxDepth {
			return file.Name, fmt.Sprintf("archives in archives, deeper than %d", maxDepth)
		}
		raw, why := r.nested(file)
		if why != "" {
			return file.Name, why
		}
		if at, why := r.inside(bytes.NewReader(raw), int64(len(raw)), depth+1); why != "" {
			return path.Join(file.Name, at), why
		}
		if !describes(raw) {
			return file.Name, "an archive in it does not say which package it is"
		}
	}
	return "", ""
}

func (r *reading) nested(file *zip.File) (raw []byte, why string) {
	if file.UncompressedSize64 > maxOne || int64(file.UncompressedSize64) > r.budget { //nolint:gosec // bounded by maxOne
		return nil, "archives in it are too large"
	}
	r.budget -= int64(file.UncompressedSize64) //nolint:gosec // bounded by maxOne
	if file.Flags&1 != 0 {
		return nil, "an archive in it is encrypted"
	}
	in, err := file.Open()
	if err != nil {
		return nil, "an archive in it cannot be unpacked"
	}
	defer in.Close()
	raw, err = io.ReadAll(io.LimitReader(in, int64(file.UncompressedSize64)+1)) //nolint:gosec // bounded by maxOne
	if err != nil || uint64(len(raw)) != file.UncompressedSize64 {
		return nil, "an archive in it is broken"
	}
	return raw, ""
}

// describes reports whether an archive says which package it is, or has no classes.
func describes(raw []byte) bool {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return false
	}
	classes := false
	for _, f := range z.File {
		if strings.EqualFold(f.Name, "META-INF/MANIFEST.MF") || strings.HasSuffix(f.Name, "/pom.properties") {
			return true
		}
		classes = classes || strings.HasSuffix(f.Name, ".class")
	}
	return !classes
}

func hasClasses(f *io.SectionReader) bool {
	z, err := zip.NewReader(f, f.Size())
	if err != nil {
		return !errors.Is(err, zip.ErrFormat)
	}
	return slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, ".class") })
}
