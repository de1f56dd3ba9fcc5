package taskresult

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	// MaxQuoted bounds an encoded Result, as a string within JSON. The kubelet gives each container of a Pod
	// an equal share of 12 KiB for its message. A Result of this size fits into a share of 1755
	// bytes. That allows five steps, Tekton's own container, and one that a user may add.
	MaxQuoted = 1600
	// maxFixed bounds everything but the findings and the report, compressed.
	maxFixed  = 900
	maxReport = 280
	// reportRoom is the space that the reference of the report and the digest of the inventory's
	// artefact need once they are known, with their field names, compressed.
	reportRoom = maxReport + 20
	maxReason  = 160
	hashSize   = 16
	tooLong    = "it was published, but its reference is too long to report"
)

var (
	checkPattern     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	referencePattern = regexp.MustCompile(`^[A-Za-z0-9._:/@-]+$`)
)

// Published adds the reference of the full report, and the artefact in the same repository that
// stores the inventory. If the reference is too long for the message, Published leaves both out and
// says so.
func (o *Result) Published(reference string, inventory image.Digest) {
	if len(reference) > maxReport {
		o.Unpublished = tooLong
	} else {
		o.Report = reference
		if o.Inventory != nil {
			o.Inventory.Artifact = inventory
		}
	}
	o.trim()
}

// Withheld adds the reason why there is no full report.
func (o *Result) Withheld(err error) {
	o.Unpublished = reasonOf(err)
	o.trim()
}

// reasonOf returns why there is no report, as short as it has to be.
func reasonOf(err error) string {
	return Fit(result.Clip(result.Line(err.Error()), maxReason), maxReason+40)
}

// trim drops the last findings until the rest fits.
func (o *Result) trim() {
	for n := len(o.Findings); n > 0 && o.size() > MaxQuoted; n = len(o.Findings) {
		o.Omitted += max(o.Findings[n-1].Times, 1)
		o.Findings = shorter(o.Findings)
	}
}

// Encode returns o in one line: as JSON, or if that does not fit, as compressed JSON.
func (o Result) Encode() (string, error) {
	text, err := o.encode()
	if err != nil {
		return "", err
	}
	if n := quoted(text); n > MaxQuoted {
		return "", fmt.Errorf("the outcome has %d bytes; a Task's result holds at most %d", n, MaxQuoted)
	}
	return text, nil
}

func (o Result) encode() (string, error) {
	text, err := encoded(o)
	if err != nil {
		return "", fmt.Errorf("encode outcome: %w", err)
	}
	if quoted(text) <= MaxQuoted {
		return text, nil
	}
	return pack(text)
}

func encoded(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // escaping makes six bytes of one, and nobody puts this in a page
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	// Tekton and the kubelet replace $(NAME) in arguments, and the outcome travels in one.
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "$", `\u0024`), nil
}

// size returns the length of o as a string within JSON, quoted as Tekton quotes it.
func (o Result) size() int {
	text, err := o.encode()
	if err != nil {
		return 1 << 30
	}
	return quoted(text)
}

// fixed returns the length of o, compressed.
func (o Result) fixed() int {
	text, err := encoded(o)
	if err != nil {
		return 1 << 30
	}
	if text, err = pack(text); err != nil {
		return 1 << 30
	}
	return len(text)
}

func quoted(text string) int {
	quoted, err := json.Marshal(text)
	if err != nil {
		return 1 << 30
	}
	return len(quoted)
}

// Decode reads what Encode wrote.
func Decode(text string) (Result, error) {
	const most = 4096 // Tekton's own limit
	if len(text) > most {
		return Result{}, fmt.Errorf("the outcome is larger than %d bytes", most)
	}
	if strings.TrimSpace(text) == "" {
		return Result{}, errors.New("the outcome is empty: its Task did not finish")
	}
	if packed, ok := strings.CutPrefix(text, packedPrefix); ok {
		var err error
		if text, err = unpack(packed); err != nil {
			return Result{}, fmt.Errorf("decompress outcome: %w", err)
		}
	}
	var o Result
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return Result{}, fmt.Errorf("decode outcome: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Result{}, errors.New("decode outcome: more data follows the JSON document")
	}
	if err := o.check(); err != nil {
		return Result{}, fmt.Errorf("the outcome is invalid: %w", err)
	}
	return o, nil
}

// check returns an error if o breaks a rule that every maker of outcomes keeps.
func (o Result) check() error {
	if o.Digest.IsZero() {
		return errors.New("it does not name the checked digest")
	}
	if err := o.checkChecks(); err != nil {
		return err
	}
	if i := o.Images; i != nil {
		sum, err := hex.DecodeString(i.Hash)
		if err != nil || len(sum) != hashSize || i.N <= 0 || i.Unselected < 0 {
			return fmt.Errorf("%d images under the hash %q", i.N, i.Hash)
		}
	}
	if o.Database != nil && (o.Database.Digest == (image.Digest{}) || o.Database.AsOf.IsZero()) {
		return errors.New("its database has no digest or no time")
	}
	switch o.Signature {
	case "", SignatureValid, SignatureInvalid, SignatureNone, SignatureOff:
	default:
		return fmt.Errorf("unknown signature state %q", o.Signature)
	}
	if !o.Documents.IsZero() && (o.Report != "" || o.Unpublished != "") {
		return errors.New("it hands on documents, and says what became of them")
	}
	if o.Report != "" && !isReport(o.Report) {
		return fmt.Errorf("%q is not the reference of a report", result.Clip(o.Report, maxPlatform))
	}
	if err := o.checkBasis(); err != nil {
		return err
	}
	if err := o.checkLooked(); err != nil {
		return err
	}
	return o.checkNumbers()
}

// checkBasis checks what the verdict's basis is made of.
func (o Result) checkBasis() error {
	if err := o.Parts.Check(); err != nil {
		return err
	}
	if i := o.Inventory; i != nil && (i.Digest.IsZero() || !i.Artifact.IsZero() && o.Report == "") {
		return errors.New("its inventory has no digest, or is stored beside no report")
	}
	images := 0
	if o.Images != nil {
		images = o.Images.N
	}
	if len(o.Platforms) > min(images, maxPlatforms) {
		return fmt.Errorf("it names %d platforms of %d images", len(o.Platforms), images)
	}
	for _, p := range o.Platforms {
		if p == "" || p != platform(p) {
			return fmt.Errorf("%q is not a platform", result.Clip(p, maxPlatform))
		}
	}
	return nil
}

// checkLooked checks what a scanner reported about its work.
func (o Result) checkLooked() error {
	for what, counts := range map[string]map[string]int{"packages": o.Packages, "gaps": o.Gaps} {
		if len(counts) > max(maxKinds, maxGaps)+1 {
			return fmt.Errorf("it counts %d kinds of %s", len(counts), what)
		}
		for kind, n := range counts {
			if !kindPattern.MatchString(kind) || n <= 0 {
				return fmt.Errorf("it counts %d %s of the kind %q", n, what, result.Clip(kind, maxRule))
			}
		}
	}
	if len(o.Distributions) > maxDistributions {
		return fmt.Errorf("it names %d distributions", len(o.Distributions))
	}
	for _, d := range o.Distributions {
		if d == "" || d != distribution(d) {
			return fmt.Errorf("%q is not a distribution", result.Clip(d, maxPlatform))
		}
	}
	if d := o.Database; d != nil && d.Schema != result.Clip(platform(d.Schema), maxSchema) {
		return fmt.Errorf("%q is not a version of a database's format", result.Clip(d.Schema, maxPlatform))
	}
	return nil
}

func (o Result) checkChecks() error {
	if len(o.Checks) == 0 {
		return errors.New("it names no check")
	}
	seen := map[string]bool{}
	for _, c := range o.Checks {
		switch {
		case !checkPattern.MatchString(c.Name):
			return fmt.Errorf("%q is not the name of a check", result.Clip(c.Name, maxPlatform))
		case seen[c.Name]:
			return fmt.Errorf("it names the check %q twice", c.Name)
		case c.Rules < 0 || c.Unapplied < 0 || c.Off == (c.Rules > 0):
			return fmt.Errorf("check %q applied %d rules", c.Name, c.Rules)
		}
		seen[c.Name] = true
	}
	for _, f := range o.Findings {
		if !seen[f.Check] {
			return fmt.Errorf("a finding names the check %q, which did not report", result.Clip(f.Check, maxPlatform))
		}
	}
	return nil
}

// checkNumbers returns an error if the numbers contradict the listed findings.
func (o Result) checkNumbers() error {
	if o.Errors < 0 || o.Warnings < 0 || o.Omitted < 0 || o.Waived < 0 {
		return errors.New("it has a negative count")
	}
	listed, waived := map[result.Severity]int{}, 0
	for _, f := range o.Findings {
		if f.Times < 0 || f.Level != "" && !knownLevel(f.Level) {
			return fmt.Errorf("finding %q has the level %q, %d times", result.Clip(f.Rule, maxRule), result.Clip(f.Level, maxRule), f.Times)
		}
		listed[f.Severity] += max(f.Times, 1)
		if f.Waiver == nil {
			continue
		}
		if f.Severity != result.SeverityWarning || f.Waiver.Reason == "" || f.Waiver.By == "" {
			return fmt.Errorf("finding %q is waived, with the severity %q, for %q by %q", result.Clip(f.Rule, maxRule), f.Severity,
				result.Clip(f.Waiver.Reason, maxWaiverName), result.Clip(f.Waiver.By, maxWaiverName))
		}
		waived += max(f.Times, 1)
	}
	if waived > o.Waived || o.Waived > o.Warnings {
		return fmt.Errorf("it counts %d waivers of %d warnings, and lists %d", o.Waived, o.Warnings, waived)
	}
	failing, warning := listed[result.SeverityError], listed[result.SeverityWarning]
	if failing > o.Errors || warning > o.Warnings || failing+warning != Stand(o.Findings) || failing+warning+o.Omitted != o.Errors+o.Warnings {
		return fmt.Errorf("it counts %d errors and %d warnings, lists %d and %d, and omits %d", o.Errors, o.Warnings, failing, warning, o.Omitted)
	}
	for level, n := range o.Levels {
		if !knownLevel(level) || n <= 0 {
			return fmt.Errorf("it counts %d vulnerabilities of the level %q", n, result.Clip(level, maxRule))
		}
	}
	return nil
}

// Age returns the age of the database at now, in whole hours.
func Age(d result.Database, now time.Time) string {
	return fmt.Sprintf("%dh", int(now.Sub(d.AsOf).Hours()))
}
