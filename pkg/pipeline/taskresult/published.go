package taskresult

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Published is what became of the documents that a Task handed on to a Pod that publishes them. The
// zero value is none.
type Published struct {
	// Digest is the checked image or index.
	Digest image.Digest `json:"digest"`
	// Documents is the digest of the list of documents, as the outcome of the Task names it. It is
	// zero if the Task handed on none.
	Documents image.Digest `json:"documents,omitzero"`
	// Report is the OCI reference of the full report.
	Report string `json:"report,omitempty"`
	// Artifact stores the inventory, in the repository of the report.
	Artifact image.Digest `json:"artifact,omitzero"`
	// Unpublished says why there is no report.
	Unpublished string `json:"unpublished,omitempty"`
}

// HandOn says that the documents of the Task are on a volume, under the digest of their list.
func (o *Result) HandOn(list image.Digest) {
	o.Documents = list
	o.trim()
}

// Withheld returns p with the reason why there is no full report.
func (p Published) Withheld(err error) Published {
	p.Report, p.Artifact, p.Unpublished = "", image.Digest{}, reasonOf(err)
	return p
}

// At returns p with the reference of the full report, and the artefact in the same repository that
// stores the inventory.
func (p Published) At(reference string, inventory image.Digest) Published {
	if len(reference) > maxReport {
		p.Unpublished = tooLong
		return p
	}
	p.Report, p.Artifact = reference, inventory
	return p
}

// Encode returns p in one line of JSON.
func (p Published) Encode() (string, error) {
	text, err := encoded(p)
	if err != nil {
		return "", fmt.Errorf("encode what was published: %w", err)
	}
	return text, nil
}

// DecodePublished reads what Encode of a Published wrote.
func DecodePublished(text string) (Published, error) {
	var p Published
	if len(text) > MaxQuoted {
		return p, fmt.Errorf("what was published has more than %d bytes", MaxQuoted)
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Published{}, fmt.Errorf("decode what was published: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Published{}, errors.New("decode what was published: more data follows the JSON document")
	}
	return p, p.check()
}

func (p Published) check() error {
	switch {
	case p.Digest.IsZero():
		return errors.New("what was published names no image")
	case p.Report != "" && !isReport(p.Report):
		return fmt.Errorf("what was published has the report %q, which is no reference", result.Clip(p.Report, maxPlatform))
	case p.Report != "" && p.Unpublished != "":
		return errors.New("what was published has both a report and a reason why there is none")
	case p.Report == "" && !p.Artifact.IsZero():
		return errors.New("what was published has a list of packages beside no report")
	case p.Documents.IsZero() && p != Published{Digest: p.Digest}:
		return errors.New("what was published tells of documents that nobody handed on")
	case !p.Documents.IsZero() && p.Report == "" && p.Unpublished == "":
		return errors.New("what was published has neither a report nor a reason why there is none")
	}
	return nil
}

// isReport reports whether a text may be the reference of a report.
func isReport(text string) bool { return len(text) <= maxReport && referencePattern.MatchString(text) }

// Add tells the one outcome of outcomes whose Task handed on documents what became of them. It
// returns an error unless p is about just these documents of just this image: whoever publishes
// claims nothing else.
func (p Published) Add(outcomes []Result) error {
	handedOn := -1
	for i, o := range outcomes {
		if o.Digest != p.Digest {
			return fmt.Errorf("one Task checked %s, and the documents published are those of %s", o.Digest, p.Digest)
		}
		if o.Documents.IsZero() {
			continue
		}
		if handedOn >= 0 {
			return errors.New("two Tasks handed on documents")
		}
		handedOn = i
	}
	switch {
	case handedOn < 0 && p.Documents.IsZero():
		return nil
	case handedOn < 0:
		return errors.New("documents were published that no Task handed on")
	case outcomes[handedOn].Documents != p.Documents:
		return fmt.Errorf("the documents %s were handed on, and %q published", outcomes[handedOn].Documents, p.Documents)
	case outcomes[handedOn].Inventory == nil && !p.Artifact.IsZero():
		return errors.New("a list of packages was published that nobody judged")
	}
	o := &outcomes[handedOn]
	o.Documents, o.Report, o.Unpublished = image.Digest{}, p.Report, strings.TrimSpace(p.Unpublished)
	if o.Inventory != nil {
		o.Inventory = &Inventory{Digest: o.Inventory.Digest, Artifact: p.Artifact}
	}
	return nil
}
