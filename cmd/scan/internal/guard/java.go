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

// javaEndings are the endings of the Java archives that Syft reads. Syft compares them
// case-sensitively.
var javaEndings = []string{".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".far", ".lpkg", ".rar", ".zap"}

// libraries are folders in an archive from which programs run any file, whatever its name.
var libraries = []string{"BOOT-INF/lib", "WEB-INF/lib", "APP-INF/lib", "lib"}

// notRead says why an archive is skipped.
const notRead = "Revet does not read an archive in it because of its name: rename it to .jar"

func java(name string) bool {
	return slices.Contains(javaEndings, strings.ToLower(path.Ext(name)))
}

// archive reports a Java archive that could not be read, or not in full.
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
		r.unread("java", path.Join(e.Path, looked.at), "Java archives could not be read in full ("+looked.why+"), so their content could not be compared; build them again")
	case r.found.Evidence[e.Path]:
	case !runs(f, f.Size()).any():
		r.empty[e.Path] = true
	default:
		r.unread("java", e.Path, "Java archives do not say which packages they are (no manifest, no pom.properties), or have a name under which Revet does not read them, "+
			"so these could not be compared; build them with a manifest, and name them .jar")
	}
	return nil
}

// renamed reports a Java archive whose name does not look like one. java -jar runs it all the same.
func (r *reading) renamed(e *layers.Entry, f *io.SectionReader) {
	if in := runs(f, f.Size()); in.classes || in.named || in.libraries {
		r.unread("java", e.Path, "Java archives have a name under which Revet does not read them, so their content could not be compared; name them .jar, .war or .ear")
	}
}

// zipMagic is the beginning of an archive.
const zipMagic = "PK\x03\x04"

// begins reports whether a file in an archive starts with text.
func begins(file *zip.File, text string) bool {
	in, err := file.Open()
	if err != nil {
		return true // what cannot be unpacked may be anything
	}
	defer in.Close()
	raw := make([]byte, len(text))
	_, err = io.ReadFull(in, raw)
	return err == nil && string(raw) == text
}

// describes reports whether an archive says which package it is, or has no classes.
func describes(raw []byte) bool {
	in := runs(bytes.NewReader(raw), int64(len(raw)))
	return in.manifest || in.named || !in.classes
}

// contents are the parts of an archive that show that it is a Java archive.
type contents struct {
	classes, manifest bool
	// named means that it has a pom.properties, libraries that it has archives inside.
	named, libraries bool
}

func (c contents) any() bool { return c != contents{} }

func runs(f io.ReaderAt, size int64) (c contents) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return contents{classes: !errors.Is(err, zip.ErrFormat)}
	}
	for _, f := range z.File {
		c.manifest = c.manifest || strings.EqualFold(f.Name, "META-INF/MANIFEST.MF")
		c.named = c.named || strings.HasSuffix(f.Name, "/pom.properties")
		c.classes = c.classes || strings.HasSuffix(f.Name, ".class")
		c.libraries = c.libraries || slices.Contains(libraries[:3], path.Dir(f.Name))
	}
	return c
}
