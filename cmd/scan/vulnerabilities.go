package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// maxUnread is how many unread files a report names.
const maxUnread = 3

type vulnerabilitiesOptions struct{ command.Vulnerabilities }

func newVulnerabilities() *cobra.Command {
	var o vulnerabilitiesOptions
	cmd := &cobra.Command{
		Use:   "vulnerabilities --layout DIR --database HOST/REPOSITORY:TAG",
		Short: "Look for the vulnerabilities of the packages that sbom found",
		Long: `Compares the packages that the step sbom found with the records of a vulnerability
database, which "step database mirror" fills, and writes what it found to
DIR/scan/findings.json, and what of that fails the image, by the policy, to
DIR/reports/scan.json.

A database that is missing, broken, tampered with, empty or too old is an error.
Packages of an ecosystem that it has no records of fail the image, unless the
policy says otherwise. Without --database nothing is looked for and no report is
written: the verdict says that the check was off.`,
		Example: `  scan vulnerabilities --layout /tmp/image --database registry.example.com/revet/database:current --policy policy.yaml`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.Run(cmd.Context(), cmd.OutOrStdout(), o.look) },
	}
	o.Flags(cmd.Flags())
	return command.Require(cmd, "layout")
}

// look compares the packages that sbom found with the database.
func (o *vulnerabilitiesOptions) look(ctx context.Context, dir layout.Dir, tree content.Tree, now time.Time) (found findings.File, err error) {
	stock, err := inventory.Read(dir.Path())
	if err != nil {
		return findings.File{}, err
	}
	if err := stock.Covers(tree); err != nil {
		return findings.File{}, err
	}
	db, err := o.open(ctx, stock, now)
	if err != nil {
		return findings.File{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return compare(ctx, db, stock)
}

// open opens the parts of the database that packages are of.
func (o *vulnerabilitiesOptions) open(ctx context.Context, stock inventory.File, now time.Time) (*vulndb.DB, error) {
	registry, err := o.Connection.Options()
	if err != nil {
		return nil, err
	}
	ecosystems := map[string]bool{}
	for _, img := range stock.Images {
		for _, p := range img.Packages {
			ecosystems[osv.Base(p.Ecosystem)] = true
		}
	}
	return vulndb.Open(ctx, o.Database, vulndb.Options{
		Registry: registry, MaxAge: o.MaxAge, Now: now, Dir: o.Temp,
		Only: func(ecosystem string) bool { return ecosystems[ecosystem] },
	})
}

// compare looks for the vulnerabilities of all packages.
func compare(ctx context.Context, db *vulndb.DB, stock inventory.File) (findings.File, error) {
	info := db.Info()
	out := findings.File{
		Digest: stock.Digest, Scanner: findings.Scanner{Name: stock.Tool.Name, Version: stock.Tool.Version},
		Database: findings.Database{Digest: info.Digest, AsOf: info.AsOf, Ecosystems: db.Config().Names()},
	}
	packages := match.NewPackages(stock.Images, db.Ecosystems())
	err := db.Each(ctx, packages.Names, func(r osv.Record) error {
		out.Vulnerabilities = append(out.Vulnerabilities, packages.Match(r)...)
		return nil
	})
	if err != nil {
		return findings.File{}, err
	}
	match.Sort(out.Vulnerabilities)
	for i := range stock.Images {
		img := &stock.Images[i]
		next := findings.Image{
			Platform: img.Platform, Digest: img.Digest, Distribution: img.Distribution, Packages: len(img.Packages),
			Unmatched: packages.Unmatched(img), Unread: img.UnreadCount,
		}
		for _, u := range img.Unread[:min(len(img.Unread), maxUnread)] {
			next.UnreadExamples = append(next.UnreadExamples, u.Path+": "+u.Why)
		}
		out.Images = append(out.Images, next)
	}
	return out, nil
}
