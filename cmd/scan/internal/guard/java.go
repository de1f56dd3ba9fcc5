package guard

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
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
	looked := r.archives[e.Path]
	switch {
	case looked.why != "":
		r.unread("java", path.Join(e.Path, looked.at), "archives of Java's could not be read in full ("+looked.why+"), so that what is in them could not be compared; build them again")
	case r.found.Evidence[e.Path]:
	case !hasClasses(f):
		r.empty[e.Path] = true
	default:
		r.unread("java", e.Path, "archives of Java's do not say which packages they are (no manifest, no pom.properties), so that these could not be compared; build them with a manifest")
	}
	return nil
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
