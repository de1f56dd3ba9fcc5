package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/db/v6/installation"
	"github.com/anchore/grype/grype/vulnerability"
	_ "github.com/glebarez/sqlite" // what the database is stored in

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// database is Grype's, opened.
type database struct {
	digest   image.Digest
	built    time.Time
	reader   v6.Reader
	provider vulnerability.Provider
}

// open pulls the database, and opens it below temp.
func (o *vulnerabilitiesOptions) open(ctx context.Context, temp string, now time.Time) (*database, error) {
	registry, err := o.Connection.Options()
	if err != nil {
		return nil, err
	}
	archive := filepath.Join(temp, "database.tar.zst")
	digest, err := vulndb.Archive(ctx, o.Database, vulndb.ArchiveOptions{Registry: registry, MaxBytes: o.maxBytes, File: archive})
	if err != nil {
		return nil, err
	}
	config := installation.Config{DBRootDir: filepath.Join(temp, "database"), ValidateChecksum: true}
	curator, err := installation.NewCurator(config, nil) // nil: it downloads nothing
	if err != nil {
		return nil, o.broken(err)
	}
	if err := curator.Import(archive); err != nil {
		return nil, o.broken(err)
	}
	about, err := v6.ReadDescription(config.DBFilePath())
	if err != nil {
		return nil, o.broken(err)
	}
	built := about.Built.UTC()
	if err := (vulndb.Config{AsOf: built}).CheckAge(o.MaxAge, now); err != nil {
		return nil, content.Within(err, "database "+o.Database)
	}
	reader, err := curator.Reader()
	if err != nil {
		return nil, o.broken(err)
	}
	return &database{digest: digest, built: built, reader: reader, provider: v6.NewVulnerabilityProvider(reader)}, nil
}

func (o *vulnerabilitiesOptions) broken(err error) error {
	return content.Errorf(vulndb.ReasonFormat, "database "+o.Database, "Grype cannot read it: %w; push the archive that \"grype db list\" names", err)
}

// Close releases the database.
func (db *database) Close() error {
	if err := db.provider.Close(); err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}

// scanner is Grype, in the version that was linked.
func scanner() findings.Scanner {
	s := findings.Scanner{Name: "grype", Version: "unknown"}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return s
	}
	for _, m := range build.Deps {
		if m.Path == "github.com/anchore/grype" {
			s.Version = m.Version
		}
	}
	return s
}
