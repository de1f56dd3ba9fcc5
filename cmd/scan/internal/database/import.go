package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v6 "github.com/anchore/grype/grype/db/v6"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Index creates the indices of the file in dir, as the library does when it imports a database.
// Distributed files have none. Index first refuses a file that is newer than the library, or that
// has a log beside it, which the library would ignore.
func Index(dir string) (err error) {
	defer recovered(&err)
	path := filepath.Join(dir, v6.VulnerabilityDBFileName)
	if err := CheckWhole(path); err != nil {
		return err
	}
	if _, _, err := describe(path); err != nil {
		return err
	}
	if err := v6.Hydrater()(dir); err != nil {
		return oci.Errorf(vulndb.ReasonBroken, "", "cannot create its indices: %w; %s", err, vulndb.CureBroken)
	}
	return settle(dir)
}

// CheckWhole returns an error unless the file at path is the whole database. Content in a log
// beside it would be ignored.
func CheckWhole(path string) error {
	if err := checkHeader(path); err != nil {
		return err
	}
	for _, beside := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + beside); err == nil && info.Size() > 0 {
			return oci.Errorf(vulndb.ReasonBroken, "", "%s lies beside its file, so it was not closed; let the program that wrote it finish", filepath.Base(path)+beside)
		}
	}
	return nil
}

// AddMalware adds the records of malicious packages in the file in from, which Build made, to the
// indexed file in dir.
func AddMalware(dir, from string) (err error) {
	if err := add(dir, from); err != nil {
		return err
	}
	return settle(dir)
}

func add(dir, from string) (err error) {
	defer recovered(&err)
	t, err := openWritable(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.exec([]any{"ATTACH DATABASE ? AS more", filepath.Join(from, v6.VulnerabilityDBFileName)}); err != nil {
		return err
	}
	ctx := context.Background()
	n, err := t.number(ctx, "SELECT count(*) FROM more.operating_systems")
	if err != nil || n != 0 {
		return errors.Join(err, fmt.Errorf("records of malicious packages name %d distributions, but must name none", n))
	}
	if n, err = t.number(ctx, "SELECT count(*) FROM providers WHERE id IN (SELECT id FROM more.providers)"); err != nil || n != 0 {
		return errors.Join(err, fmt.Errorf("the source already has records of the provider %s; leave out --malware", ProviderMalware))
	}
	return t.exec(
		[]any{"BEGIN"},
		// The identifiers of the new records follow the existing ones.
		[]any{`CREATE TEMP TABLE after AS SELECT
			(SELECT coalesce(max(id), 0) FROM main.blobs) AS blob,
			(SELECT coalesce(max(id), 0) FROM main.vulnerability_handles) AS vulnerability,
			(SELECT coalesce(max(id), 0) FROM main.affected_package_handles) AS package`},
		[]any{`INSERT INTO main.blobs (id, value) SELECT id + blob, value FROM more.blobs, after ORDER BY id`},
		[]any{`INSERT INTO main.providers (id, version, processor, date_captured, input_digest)
			SELECT id, version, processor, date_captured, input_digest FROM more.providers ORDER BY id`},
		[]any{`INSERT INTO main.vulnerability_handles (id, name, status, published_date, modified_date, withdrawn_date, provider_id, blob_id)
			SELECT id + vulnerability, name, status, published_date, modified_date, withdrawn_date, provider_id, blob_id + blob
			FROM more.vulnerability_handles, after ORDER BY id`},
		[]any{`INSERT OR IGNORE INTO main.vulnerability_aliases (name, alias) SELECT name, alias FROM more.vulnerability_aliases ORDER BY name, alias`},
		[]any{`INSERT OR IGNORE INTO main.packages (ecosystem, name) SELECT ecosystem, name FROM more.packages ORDER BY id`},
		[]any{`INSERT INTO main.affected_package_handles (id, vulnerability_id, package_id, blob_id)
			SELECT a.id + after.package, a.vulnerability_id + after.vulnerability, p.id, a.blob_id + after.blob
			FROM more.affected_package_handles a JOIN more.packages m ON m.id = a.package_id
			JOIN main.packages p ON p.ecosystem = m.ecosystem COLLATE NOCASE AND p.name = m.name COLLATE NOCASE, after ORDER BY a.id`},
		[]any{"COMMIT"},
		[]any{"DETACH DATABASE more"},
		[]any{"ANALYZE"},
	)
}
