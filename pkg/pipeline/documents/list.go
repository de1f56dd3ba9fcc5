package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Kind says what a document is.
type Kind string

// The kinds. The zero value is none of them.
const (
	// Report is the full report, of which there is one.
	Report Kind = "report"
	// SBOM lists the packages of one image. Each image has one at most.
	SBOM Kind = "sbom"
	// Inventory lists the packages of all images, as the scan judged them. There is one at most.
	Inventory Kind = "inventory"
)

// The limits, in bytes except for maxDocuments.
const (
	maxReport    = 64 << 20
	maxTotal     = 1 << 30
	maxList      = 128 << 10
	maxDocuments = 258 // an SBOM for each image of an index, the report and the inventory
)

// limit returns the maximum size of a document, or 0 for what is no kind.
func (k Kind) limit() int64 {
	switch k {
	case Report:
		return maxReport
	case SBOM:
		return result.MaxSBOM
	case Inventory:
		return result.MaxInventory
	default:
		return 0
	}
}

// Document is a document on the volume.
type Document struct {
	Kind Kind `json:"kind"`
	// Subject is the image or index that it is about.
	Subject image.Digest `json:"subject"`
	// Digest is that of its bytes.
	Digest image.Digest `json:"digest"`
	// Size is its length in bytes.
	Size int64 `json:"size"`
}

// String names the document in messages.
func (d Document) String() string { return fmt.Sprintf("%s of %s", d.Kind, d.Subject) }

// List is what a scan hands on.
type List struct {
	// Image is the image or index that was scanned.
	Image     image.Digest `json:"image"`
	Documents []Document   `json:"documents"`
}

// Of returns the documents of a kind.
func (l List) Of(kind Kind) []Document {
	var all []Document
	for _, d := range l.Documents {
		if d.Kind == kind {
			all = append(all, d)
		}
	}
	return all
}

// decode returns the list in raw.
func decode(raw []byte) (List, error) {
	var l List
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return List{}, oci.Errorf(oci.ReasonCorrupted, subjectList, "%w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return List{}, oci.Errorf(oci.ReasonCorrupted, subjectList, "more data follows the JSON document")
	}
	return l, l.check()
}

const subjectList = "list of documents"

// check returns an error unless l has a report of its image, at most one document of each kind
// about an image, and nothing beyond the limits.
func (l List) check() error {
	if n := len(l.Documents); n > maxDocuments {
		return oci.Errorf(oci.ReasonTooLarge, subjectList, "it names %d documents; the limit is %d", n, maxDocuments)
	}
	type place struct {
		kind    Kind
		subject image.Digest
	}
	seen, total := map[place]bool{}, int64(0)
	for _, d := range l.Documents {
		at := place{d.Kind, d.Subject}
		switch {
		case d.Kind.limit() == 0:
			return oci.Errorf(oci.ReasonCorrupted, subjectList, "%q is no kind of document", result.Clip(string(d.Kind), 40))
		case d.Subject.IsZero() || d.Digest.IsZero() || d.Size <= 0:
			return oci.Errorf(oci.ReasonCorrupted, subjectList, "the %s has the digest %q and %d bytes", d, d.Digest, d.Size)
		case d.Kind != SBOM && d.Subject != l.Image:
			return oci.Errorf(oci.ReasonCorrupted, subjectList, "it has the %s, but is about %s", d, l.Image)
		case seen[at]:
			return oci.Errorf(oci.ReasonCorrupted, subjectList, "it has the %s twice", d)
		case d.Size > d.Kind.limit():
			return oci.Errorf(oci.ReasonTooLarge, d.String(), "it has %d bytes; the limit is %d", d.Size, d.Kind.limit())
		}
		seen[at] = true
		if total += d.Size; total > maxTotal {
			return oci.Errorf(oci.ReasonTooLarge, subjectList, "the documents have more than %d bytes", maxTotal)
		}
	}
	if !seen[place{Report, l.Image}] {
		return oci.Errorf(oci.ReasonCorrupted, subjectList, "it has no report")
	}
	return nil
}
