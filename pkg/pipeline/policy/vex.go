package policy

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// The limits of OpenVEX documents.
const (
	// MaxDocument bounds a document. A ConfigMap holds at most 1 MiB.
	MaxDocument   = 1 << 20
	maxDocuments  = 100
	maxStatements = 20000
)

// The values of a statement's status.
const (
	notAffected        = "not_affected"
	affected           = "affected"
	fixed              = "fixed"
	underInvestigation = "under_investigation"
)

// contexts are the accepted formats: the one in the specification, and the same with its version,
// which tools write.
var contexts = []string{"https://openvex.dev/ns", "https://openvex.dev/ns/v0.2.0"}

var justifications = []string{
	"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

// vexDocument is an OpenVEX document as written.
type vexDocument struct {
	Context     string         `json:"@context"`
	ID          string         `json:"@id"`
	Author      string         `json:"author"`
	Role        string         `json:"role"`
	Timestamp   time.Time      `json:"timestamp"`
	LastUpdated *time.Time     `json:"last_updated"`
	Version     int            `json:"version"`
	Tooling     string         `json:"tooling"`
	Supplier    string         `json:"supplier"`
	Statements  []vexStatement `json:"statements"`
}

type vexStatement struct {
	ID            string `json:"@id"`
	Version       int    `json:"version"`
	Vulnerability struct {
		ID          string   `json:"@id"`
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Aliases     []string `json:"aliases"`
	} `json:"vulnerability"`
	Timestamp       *time.Time   `json:"timestamp"`
	LastUpdated     *time.Time   `json:"last_updated"`
	Products        []vexProduct `json:"products"`
	Status          string       `json:"status"`
	Supplier        string       `json:"supplier"`
	StatusNotes     string       `json:"status_notes"`
	Justification   string       `json:"justification"`
	ImpactStatement string       `json:"impact_statement"`
	ActionStatement string       `json:"action_statement"`
	ActionTimestamp *time.Time   `json:"action_statement_timestamp"`
}

type vexProduct struct {
	vexComponent
	Subcomponents []vexComponent `json:"subcomponents"`
}

type vexComponent struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
	Hashes      map[string]string `json:"hashes"`
	Supplier    string            `json:"supplier"`
}

// statement is a parsed statement.
type statement struct {
	suppresses bool
	reason     string
	by         string // the document
	at         time.Time
	products   []product
}

type product struct {
	component
	parts []component // empty: the product itself
}

// component identifies an image or a package.
type component struct {
	purls  []packageurl.PackageURL
	sha256 string
}

// parseDocuments parses all documents. It returns the statements by the names of their
// vulnerabilities.
func parseDocuments(documents map[string][]byte) (map[string][]*statement, error) {
	if len(documents) > maxDocuments {
		return nil, fmt.Errorf("there are %d OpenVEX documents; the limit is %d", len(documents), maxDocuments)
	}
	out := map[string][]*statement{}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		d, err := parseDocument(documents[name])
		if err != nil {
			return nil, fmt.Errorf("OpenVEX document %q: %w", name, err)
		}
		if n += len(d.Statements); n > maxStatements {
			return nil, fmt.Errorf("the OpenVEX documents hold more than %d statements", maxStatements)
		}
		for i, written := range d.Statements {
			s, err := written.parse(d)
			if err != nil {
				return nil, fmt.Errorf("OpenVEX document %q, statement %d: %w", name, i+1, err)
			}
			names := append([]string{written.Vulnerability.Name}, written.Vulnerability.Aliases...)
			slices.Sort(names)
			for _, id := range slices.Compact(names) {
				out[id] = append(out[id], s)
			}
		}
	}
	return out, nil
}

func parseDocument(raw []byte) (vexDocument, error) {
	if len(raw) > MaxDocument {
		return vexDocument{}, fmt.Errorf("it has %d bytes; the limit is %d", len(raw), MaxDocument)
	}
	var d vexDocument
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		at := min(dec.InputOffset(), int64(len(raw)))
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			at = min(syntax.Offset, int64(len(raw)))
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			at = int64(len(raw))
		}
		line := 1 + bytes.Count(bytes.TrimRight(raw[:at], "\n"), []byte("\n"))
		return vexDocument{}, fmt.Errorf("cannot read it, at or after line %d: %w", line, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return vexDocument{}, errors.New("more data follows the document")
	}
	switch {
	case !slices.Contains(contexts, d.Context):
		return vexDocument{}, fmt.Errorf("@context is %.80q; accepted are %q", d.Context, contexts)
	case strings.TrimSpace(d.ID) == "" || d.Author == "" || d.Version < 1:
		return vexDocument{}, errors.New("it must have @id, author and a version of 1 or more")
	case d.Timestamp.IsZero():
		return vexDocument{}, errors.New("timestamp is missing")
	case len(d.Statements) == 0:
		return vexDocument{}, errors.New("it has no statements")
	}
	return d, nil
}

func (w vexStatement) parse(d vexDocument) (*statement, error) {
	s := &statement{by: d.ID, at: d.Timestamp}
	if w.Timestamp != nil {
		s.at = *w.Timestamp
	}
	if !idPattern.MatchString(w.Vulnerability.Name) {
		return nil, fmt.Errorf("vulnerability.name %.130q is not the name of a vulnerability", w.Vulnerability.Name)
	}
	if w.Justification != "" && !slices.Contains(justifications, w.Justification) {
		return nil, fmt.Errorf("unknown justification %.80q; accepted are %q", w.Justification, justifications)
	}
	switch w.Status {
	case notAffected:
		if w.Justification == "" && w.ImpactStatement == "" {
			return nil, fmt.Errorf("status %s needs a justification or an impact_statement", w.Status)
		}
		s.suppresses = true
	case fixed:
		s.suppresses = true
	case affected, underInvestigation:
	default:
		return nil, fmt.Errorf("unknown status %.80q; accepted are %q", w.Status, []string{notAffected, affected, fixed, underInvestigation})
	}
	var words []string
	for _, word := range []string{w.Status, w.Justification, w.ImpactStatement} {
		if word != "" {
			words = append(words, word)
		}
	}
	s.reason = strings.Join(words, ": ")
	if len(w.Products) == 0 {
		return nil, errors.New("products is missing; name the images or packages that the statement is about")
	}
	for i, p := range w.Products {
		next, err := p.parse()
		if err != nil {
			return nil, fmt.Errorf("product %d: %w", i+1, err)
		}
		s.products = append(s.products, next)
	}
	return s, nil
}

func (w vexProduct) parse() (product, error) {
	c, err := w.vexComponent.parse()
	if err != nil {
		return product{}, err
	}
	p := product{component: c}
	for i, sub := range w.Subcomponents {
		c, err := sub.parse()
		if err != nil {
			return product{}, fmt.Errorf("subcomponent %d: %w", i+1, err)
		}
		p.parts = append(p.parts, c)
	}
	return p, nil
}

func (w vexComponent) parse() (component, error) {
	var c component
	for _, s := range []string{w.ID, w.Identifiers["purl"]} {
		if !strings.HasPrefix(s, "pkg:") {
			continue // an identifier that Revet cannot compare
		}
		u, err := packageurl.FromString(s)
		if err != nil {
			return component{}, fmt.Errorf("%.200q is not a package URL: %w", s, err)
		}
		c.purls = append(c.purls, u)
	}
	if sum, ok := w.Hashes["sha-256"]; ok {
		if b, err := hex.DecodeString(sum); err != nil || len(b) != 32 {
			return component{}, fmt.Errorf("hashes: %.80q is not a sha-256 hash", sum)
		}
		c.sha256 = strings.ToLower(sum)
	}
	return c, nil
}

// isImage reports whether c identifies the image with one of the digests.
func (c component) isImage(digests ...image.Digest) bool {
	return slices.ContainsFunc(digests, func(d image.Digest) bool {
		return !d.IsZero() && (c.sha256 == d.Hex() || slices.ContainsFunc(c.purls, func(u packageurl.PackageURL) bool {
			return u.Type == packageurl.TypeOCI && u.Version == d.String()
		}))
	})
}

// isPackage reports whether c identifies the package with that URL.
func (c component) isPackage(at packageurl.PackageURL) bool {
	return slices.ContainsFunc(c.purls, func(u packageurl.PackageURL) bool {
		if u.Type != at.Type || u.Namespace != at.Namespace || u.Name != at.Name ||
			u.Version != "" && u.Version != at.Version || u.Subpath != "" && u.Subpath != at.Subpath {
			return false
		}
		has := at.Qualifiers.Map()
		for key, value := range u.Qualifiers.Map() {
			if has[key] != value {
				return false
			}
		}
		return true
	})
}

// about reports whether s applies to v, found in the image or index root.
func (s *statement) about(v result.Vulnerability, at packageurl.PackageURL, root image.Digest) bool {
	return slices.ContainsFunc(s.products, func(p product) bool {
		if len(p.parts) == 0 {
			return p.isImage(v.Digest, root) || p.isPackage(at)
		}
		return p.isImage(v.Digest, root) && slices.ContainsFunc(p.parts, func(c component) bool { return c.isPackage(at) })
	})
}

// stated returns the statement about v that counts, or nil.
func (p Policy) stated(v result.Vulnerability, root image.Digest) *statement {
	// No statement can be about a package whose URL does not parse.
	at, err := packageurl.FromString(v.Package.PURL)
	if err != nil {
		at = packageurl.PackageURL{}
	}
	var counts *statement
	for _, id := range append([]string{v.ID}, v.Aliases...) {
		for _, s := range p.statements[id] {
			if !s.about(v, at, root) {
				continue
			}
			if counts == nil || s.at.After(counts.at) || s.at.Equal(counts.at) && !s.suppresses {
				counts = s
			}
		}
	}
	return counts
}
