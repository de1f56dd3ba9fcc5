package database

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"

	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Describe counts the content of a file: the records of each provider, and the statements about
// packages of each distribution and each type. Withdrawn records do not count, because no scan
// finds them. A database with nothing else is empty.
func Describe(ctx context.Context, path string) (providers []vulndb.Provider, ecosystems []vulndb.Ecosystem, err error) {
	t, err := openReadable(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	err = t.query(ctx, func(r *sql.Rows) error {
		var p vulndb.Provider
		var captured sql.NullTime
		if err := r.Scan(&p.Name, &captured, &p.Records); err != nil {
			return err
		}
		p.AsOf = captured.Time.UTC().Truncate(time.Second)
		providers = append(providers, p)
		return nil
	}, `SELECT p.id, p.date_captured, count(v.id) FROM providers p LEFT JOIN vulnerability_handles v ON v.provider_id = p.id AND v.status <> ?
		GROUP BY p.id ORDER BY p.id`, string(v6.VulnerabilityRejected))
	if err != nil {
		return nil, nil, err
	}
	err = t.query(ctx, func(r *sql.Rows) error {
		var e vulndb.Ecosystem
		if err := r.Scan(&e.Name, &e.Records); err != nil {
			return err
		}
		ecosystems = append(ecosystems, e)
		return nil
	}, `SELECT coalesce(nullif(o.name, ''), p.ecosystem) AS of, count(*) FROM affected_package_handles a
		JOIN vulnerability_handles v ON v.id = a.vulnerability_id AND v.status <> ?
		JOIN packages p ON p.id = a.package_id LEFT JOIN operating_systems o ON o.id = a.operating_system_id
		GROUP BY of ORDER BY of`, string(v6.VulnerabilityRejected))
	return providers, ecosystems, err
}
