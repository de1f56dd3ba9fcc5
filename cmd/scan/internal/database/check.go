package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/search"
	"github.com/anchore/grype/grype/vulnerability"
	syftpkg "github.com/anchore/syft/syft/pkg"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// sampleSize is the number of records of each provider that Check looks for.
const sampleSize = 25

// Check loads the indexed file at path as a scan does. SQLite must find the file intact. For each
// provider with records about packages, the library must find some of them by package name, and
// compare packages with them. If the library cannot do that with a database of a newer schema,
// Revet must be upgraded.
func Check(ctx context.Context, path string) (err error) {
	f, err := OpenFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := load(ctx, f); err != nil {
		if f.Schema.compare(Library) > 0 {
			return oci.Errorf(vulndb.ReasonTooNew, "", "its schema is %s, and this version of Revet, for schema %s, does not find its records: %w; %s",
				f.Schema, Library, err, vulndb.CureTooNew)
		}
		var e *oci.Error
		if errors.As(err, &e) || ctx.Err() != nil {
			return err
		}
		return oci.Errorf(vulndb.ReasonBroken, "", "it does not load: %w; %s", err, vulndb.CureBroken)
	}
	return nil
}

func load(ctx context.Context, f *File) (err error) {
	defer recovered(&err)
	t, err := openReadable(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	verdict := ""
	if err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&verdict) }, "PRAGMA quick_check(1)"); err != nil || verdict != "ok" {
		return errors.Join(err, fmt.Errorf("SQLite says %.200q", verdict))
	}
	if n, err := t.number(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = 'idx_package'"); err != nil || n != 1 {
		return errors.Join(err, errors.New("it has no indices"))
	}
	providers, _, err := Describe(ctx, f.path)
	if err != nil {
		return err
	}
	vp := v6.NewVulnerabilityProvider(f.reader)
	for _, p := range providers {
		samples, err := sample(ctx, t, p.Name)
		if err != nil {
			return err
		}
		if err := findAll(ctx, samples, f.reader, vp); err != nil {
			return fmt.Errorf("provider %s: %w", p.Name, err)
		}
	}
	return nil
}

// sampled is a statement about a package.
type sampled struct {
	vulnerability, name, ecosystem string
	system, version                string
	// findable says whether the package belongs to a language, or to a plain release.
	findable bool
}

func sample(ctx context.Context, t *tables, provider string) ([]sampled, error) {
	var all []sampled
	err := t.query(ctx, func(r *sql.Rows) error {
		var s sampled
		var major, minor, label, channel string
		if err := r.Scan(&s.vulnerability, &s.name, &s.ecosystem, &s.system, &major, &minor, &label, &channel); err != nil {
			return err
		}
		s.findable = s.system == "" && syftpkg.LanguageByName(s.ecosystem) != syftpkg.UnknownLanguage || s.system != "" && label == "" && channel == ""
		if s.version = label; label == "" {
			s.version = major
			if minor != "" {
				s.version += "." + minor
			}
		}
		all = append(all, s)
		return nil
	}, `SELECT v.name, p.name, p.ecosystem, coalesce(o.name, ''), coalesce(o.major_version, ''),
			coalesce(o.minor_version, ''), coalesce(o.label_version, ''), coalesce(o.channel, '')
		FROM (SELECT * FROM vulnerability_handles WHERE provider_id = ? ORDER BY id DESC LIMIT ?) v
		JOIN affected_package_handles a ON a.vulnerability_id = v.id JOIN packages p ON p.id = a.package_id
		LEFT JOIN operating_systems o ON o.id = a.operating_system_id ORDER BY a.id LIMIT ?`, provider, sampleSize, 4*sampleSize)
	return all, err
}

// findAll looks for all samples: first among the statements about their packages, and then as the
// scanner's matchers do. The matchers must find at least one. They may miss single records, because
// the library leaves some records out.
func findAll(ctx context.Context, all []sampled, reader v6.Reader, vp vulnerability.Provider) error {
	expected, found := 0, 0
	for _, s := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.stated(reader); err != nil {
			return err
		}
		ok, err := s.find(vp)
		if err != nil {
			return err
		}
		if ok {
			found++
		}
		if s.findable {
			expected++
		}
	}
	if expected > 0 && found == 0 {
		return fmt.Errorf("the library finds none of %d vulnerabilities by their packages, such as %s of %s", expected, all[0].vulnerability, all[0].name)
	}
	return nil
}

// stated returns an error unless the tables lead from the package to its vulnerability.
func (s sampled) stated(reader v6.Reader) error {
	found, err := reader.GetAffectedPackages(&v6.PackageSpecifier{Name: s.name, Ecosystem: s.ecosystem},
		&v6.GetPackageOptions{PreloadVulnerability: true, PreloadBlob: true})
	if err != nil {
		return err
	}
	for _, h := range found {
		if h.Vulnerability != nil && h.Vulnerability.Name == s.vulnerability && h.BlobValue != nil {
			return nil
		}
	}
	return fmt.Errorf("%s cannot be found by the name of its package %s", s.vulnerability, s.name)
}

// find looks for the vulnerability as matchers do, and lets them compare a package.
func (s sampled) find(vp vulnerability.Provider) (bool, error) {
	p := pkg.Package{ID: pkg.ID(s.name), Name: s.name, Version: "1.0.0", Type: syftpkg.Type(s.ecosystem)}
	criteria := []vulnerability.Criteria{search.ByPackageName(s.name)}
	if s.system != "" {
		p.Distro = distro.NewFromNameVersion(s.system, s.version)
		criteria = append(criteria, search.ByDistro(*p.Distro))
	} else {
		p.Language = syftpkg.LanguageByName(s.ecosystem)
		criteria = append(criteria, search.ByEcosystem(p.Language, p.Type))
	}
	list, err := vp.FindVulnerabilities(criteria...)
	if err != nil {
		return false, err
	}
	found := slices.ContainsFunc(list, func(v vulnerability.Vulnerability) bool { return v.ID == s.vulnerability })
	for _, m := range matcher.NewDefaultMatchers(matcher.Config{}) {
		if !slices.Contains(m.PackageTypes(), p.Type) {
			continue
		}
		if _, _, err := m.Match(vp, p); err != nil {
			return false, fmt.Errorf("compare the package %s with %s: %w", s.name, s.vulnerability, err)
		}
	}
	return found, nil
}

// Verify pulls a database of any age, opens it, and checks it.
func Verify(ctx context.Context, reference string, o Options) (err error) {
	o.MaxAge = 0
	db, err := Open(ctx, reference, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = Check(ctx, db.Path())
	if err == nil {
		err = counts(ctx, db)
	}
	if err == nil {
		return nil
	}
	ref, refErr := vulndb.ParseReference(reference)
	return errors.Join(vulndb.Within(ctx, ref, err), refErr)
}

// counts compares the counts in the config with the file.
func counts(ctx context.Context, db *DB) error {
	providers, ecosystems, err := Describe(ctx, db.Path())
	if err != nil {
		return err
	}
	c := db.Config()
	if !slices.EqualFunc(providers, c.Providers, func(a, b vulndb.Provider) bool { return a.Name == b.Name && a.Records == b.Records }) ||
		!slices.Equal(ecosystems, c.Ecosystems) {
		return oci.Errorf(vulndb.ReasonBroken, "", "its file and its config disagree about the number of records; %s", vulndb.CureBroken)
	}
	return nil
}
