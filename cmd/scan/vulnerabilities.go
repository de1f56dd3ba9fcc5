package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/triage"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// maxUnread is how many unread files a report names.
const maxUnread = 3

type vulnerabilitiesOptions struct {
	connection command.Connection
	layout     string
	database   string
	maxAge     time.Duration
	policy     string
	temp       string
}

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
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	o.connection.Flags(f, 10*time.Minute)
	f.StringVar(&o.layout, "layout", "", "directory that fetch and sbom wrote")
	f.StringVar(&o.database, "database", "", "vulnerability database, as host/repository:tag or @sha256:...; empty looks for nothing")
	f.DurationVar(&o.maxAge, "database-max-age", 120*time.Hour, "how old the database's data may be")
	f.StringVar(&o.policy, "policy", "", "file that says what fails an image; it may be missing")
	f.StringVar(&o.temp, "temp", "", "directory for the database; empty for the system's")
	return command.Require(cmd, "layout")
}

func (o vulnerabilitiesOptions) run(ctx context.Context, out io.Writer) (err error) {
	if o.database == "" {
		fmt.Fprintln(out, "no database is named: nobody looks for vulnerabilities, and the verdict says so")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.connection.Timeout)
	defer cancel()
	start := time.Now().UTC()
	policy := triage.Default()
	if o.policy != "" {
		if policy, err = triage.Load(o.policy); err != nil {
			return err
		}
	}
	dir, tree, stock, err := o.stock(ctx)
	if err != nil {
		return err
	}
	db, err := o.open(ctx, stock, start)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found, err := compare(ctx, db, stock)
	if err != nil {
		return err
	}
	found.Database.Reference = o.database
	judged, notes := policy.Report(&found, start)
	if err := findings.Write(dir.Path(), found); err != nil {
		return err
	}
	if err := report.Write(dir.Path(), judged); err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(out, "note:", report.Line(note))
	}
	for _, f := range judged.Findings {
		fmt.Fprintf(out, "%s: %s: %s: %s\n", f.Severity, f.Platform, f.Rule, f.Message)
	}
	fmt.Fprintf(out, "scanned %s: images %d, vulnerabilities %d, findings %d, database %s of %s, in %s\n", tree.Root.Digest, len(found.Images),
		len(found.Vulnerabilities), len(judged.Findings), found.Database.Digest, found.Database.AsOf.Format(time.RFC3339), time.Since(start).Round(time.Millisecond))
	return nil
}

// stock reads which packages there are.
func (o vulnerabilitiesOptions) stock(ctx context.Context) (layout.Dir, content.Tree, inventory.File, error) {
	dir, err := layout.Open(o.layout)
	if err != nil {
		return layout.Dir{}, content.Tree{}, inventory.File{}, err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return layout.Dir{}, content.Tree{}, inventory.File{}, err
	}
	stock, err := inventory.Read(dir.Path())
	if err == nil {
		err = stock.Covers(tree)
	}
	return dir, tree, stock, err
}

// open opens the parts of the database that packages are of.
func (o vulnerabilitiesOptions) open(ctx context.Context, stock inventory.File, now time.Time) (*vulndb.DB, error) {
	registry, err := o.connection.Options()
	if err != nil {
		return nil, err
	}
	ecosystems := map[string]bool{}
	for _, img := range stock.Images {
		for _, p := range img.Packages {
			ecosystems[osv.Base(p.Ecosystem)] = true
		}
	}
	return vulndb.Open(ctx, o.database, vulndb.Options{
		Registry: registry, MaxAge: o.maxAge, Now: now, Dir: o.temp,
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
