package database

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/anchore/grype/grype/db/data"
	"github.com/anchore/grype/grype/db/processors"
	"github.com/anchore/grype/grype/db/provider"
	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/db/v6/build/transformers"
	grypeosv "github.com/anchore/grype/grype/db/v6/build/transformers/osv"
	"github.com/anchore/grype/grype/db/v6/name"

	"github.com/revet-dev/revet/cmd/scan/internal/osv"
)

// The providers of records that Build knows.
const (
	// ProviderMalware has the records about malicious packages, which begin with MAL-.
	ProviderMalware = "osv-malware"
	// ProviderGo has the records of the Go vulnerability database, which begin with GO-.
	ProviderGo = "govulndb"
	// ProviderOSV has all other records.
	ProviderOSV = "osv"
)

const goPrefix = "GO-"

// providerOf returns the provider of a record.
func providerOf(r osv.Record) string {
	switch {
	case r.IsMalware():
		return ProviderMalware
	case strings.HasPrefix(r.ID, goPrefix):
		return ProviderGo
	default:
		return ProviderOSV
	}
}

// entriesOf converts a record. If the scanner knows none of its ecosystems, entriesOf returns no
// entries, and the names of the ecosystems.
func entriesOf(r osv.Record, raw []byte, state provider.State) (entries []data.Entry, unknown []string, err error) {
	if state.Provider == ProviderGo {
		entries, err = goEntries(raw, state)
		return entries, nil, err
	}
	handles, unknown, err := handlesOf(r)
	if err != nil || len(handles) == 0 {
		return nil, unknown, err
	}
	return transformers.NewEntries(append([]any{handleOf(r, state)}, handles...)...), unknown, nil
}

// goEntries uses the scanner's own transformer, which also keeps the functions that contain a
// vulnerability.
func goEntries(raw []byte, state provider.State) ([]data.Entry, error) {
	entries, err := processors.NewV2OSVProcessor(grypeosv.Transform).Process(io.Reader(bytes.NewReader(raw)), state)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		related, ok := e.Data.(transformers.RelatedEntries)
		if !ok {
			return nil, fmt.Errorf("the library turned it into a %T", e.Data)
		}
		for _, one := range related.Related {
			switch h := one.(type) {
			case v6.AffectedPackageHandle:
				h.BlobValue.Ranges = widen(h.BlobValue.Ranges)
			case transformers.GoVulnDBAffectedPackage:
				h.Handle.BlobValue.Ranges = widen(h.Handle.BlobValue.Ranges)
			}
		}
	}
	return entries, nil
}

// handlesOf returns a handle for each package in a record.
func handlesOf(r osv.Record) (handles []any, unknown []string, err error) {
	for _, a := range r.Affected {
		e, os, known, err := findEcosystem(a.Package.Ecosystem)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("record %s: %w", r.ID, err)
		case !known:
			unknown = append(unknown, a.Package.Ecosystem)
			continue
		case a.Package.Name == "":
			return nil, nil, fmt.Errorf("record %s: it names no package of %s", r.ID, a.Package.Ecosystem)
		}
		blob := &v6.PackageBlob{CVEs: cves(r), Ranges: rangesOf(a, e.versions)}
		if a.Specific.Modularity != "" {
			blob.Qualifiers = &v6.PackageQualifiers{RpmModularity: &a.Specific.Modularity}
		}
		handles = append(handles, v6.AffectedPackageHandle{
			OperatingSystem: os,
			Package:         &v6.Package{Name: name.Normalize(a.Package.Name, e.packages), Ecosystem: string(e.packages)},
			BlobValue:       blob,
		})
	}
	return handles, unknown, nil
}

// handleOf returns the handle of the vulnerability itself.
func handleOf(r osv.Record, state provider.State) v6.VulnerabilityHandle {
	h := v6.VulnerabilityHandle{
		Name: r.ID, Status: v6.VulnerabilityActive, ProviderID: state.Provider, Provider: provider.Model(state),
		BlobValue: &v6.VulnerabilityBlob{
			ID: r.ID, Description: r.Title(), References: references(r), Aliases: aliases(r), Severities: severities(r),
		},
	}
	if !r.Modified.IsZero() {
		h.ModifiedDate = &r.Modified
	}
	if !r.Published.IsZero() {
		h.PublishedDate = &r.Published
	}
	if r.Withdrawn != nil {
		h.Status, h.WithdrawnDate = v6.VulnerabilityRejected, r.Withdrawn
	}
	return h
}

// aliases returns other names of the vulnerability: its synonyms, and the names that a
// distributor's record is about.
func aliases(r osv.Record) []string {
	var all []string
	seen := map[string]bool{r.ID: true}
	add := func(names []string, only string) {
		for _, n := range names {
			if !seen[n] && strings.HasPrefix(n, only) {
				seen[n] = true
				all = append(all, n)
			}
		}
	}
	add(r.Aliases, "")
	add(r.Upstream, "")
	if !r.IsMalware() {
		add(r.Related, "CVE-") // where RPM distributions name them
	}
	return all
}

func cves(r osv.Record) []string {
	var all []string
	for _, a := range aliases(r) {
		if strings.HasPrefix(a, "CVE-") {
			all = append(all, a)
		}
	}
	return all
}

func references(r osv.Record) []v6.Reference {
	var all []v6.Reference
	if r.Specific.URL != "" {
		all = append(all, v6.Reference{URL: r.Specific.URL})
	}
	for _, ref := range r.References {
		all = append(all, v6.Reference{URL: ref.URL, Tags: []string{ref.Type}})
	}
	if len(all) == 0 {
		all = append(all, v6.Reference{URL: "https://osv.dev/vulnerability/" + r.ID})
	}
	return all
}

// severities returns the distributor's word first, and then the vectors.
func severities(r osv.Record) []v6.Severity {
	var words, vectors []v6.Severity
	word := func(text string) {
		if w := normalized(text); w != "" {
			words = append(words, v6.Severity{Scheme: v6.SeveritySchemeCHMLN, Value: w, Rank: 1})
		}
	}
	all := r.Severity
	for _, a := range r.Affected {
		word(a.Specific.Urgency)
		word(a.Specific.Severity)
		word(a.Database.Severity)
		all = append(all[:len(all):len(all)], a.Severity...)
	}
	word(r.Specific.Severity)
	for _, s := range all {
		v, ok := vector(s.Score)
		if !ok {
			word(s.Score)
			continue
		}
		vectors = append(vectors, v6.Severity{Scheme: v6.SeveritySchemeCVSS, Value: v, Rank: 2})
	}
	// Put the worst first, because the scanner uses the first.
	slices.SortStableFunc(words, func(a, b v6.Severity) int {
		return slices.Index(levels, fmt.Sprint(a.Value)) - slices.Index(levels, fmt.Sprint(b.Value))
	})
	return append(slices.Compact(words), vectors...)
}

// vector parses a CVSS vector. Vectors of version 2 have no prefix.
func vector(score string) (v6.CVSSSeverity, bool) {
	if rest, ok := strings.CutPrefix(score, "CVSS:"); ok {
		number, _, _ := strings.Cut(rest, "/")
		return v6.CVSSSeverity{Vector: score, Version: number}, true
	}
	if strings.HasPrefix(score, "AV:") {
		return v6.CVSSSeverity{Vector: score, Version: "2.0"}, true
	}
	return v6.CVSSSeverity{}, false
}

// levels are the words that the scanner knows.
var levels = []string{"critical", "high", "medium", "low", "negligible"}

// normalized returns the level that a word means, or an empty string.
func normalized(word string) string {
	word = strings.ToLower(strings.TrimSpace(word))
	switch {
	case slices.Contains(levels, word):
		return word
	case word == "important":
		return "high"
	case word == "moderate":
		return "medium"
	case word == "unimportant":
		return "negligible"
	}
	return ""
}
