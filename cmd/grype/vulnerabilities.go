package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/triage"
)

type vulnerabilitiesOptions struct {
	connection command.Connection
	layout     string
	database   string
	maxAge     time.Duration
	maxBytes   int64
	policy     string
	temp       string
}

func newVulnerabilities() *cobra.Command {
	var o vulnerabilitiesOptions
	cmd := &cobra.Command{
		Use:   "vulnerabilities --layout DIR --database HOST/REPOSITORY:TAG",
		Short: "Look for vulnerabilities with Grype",
		Long: `Looks with Syft for the packages of every image of the layout, and with Grype for
their vulnerabilities, and writes what it found to DIR/scan/findings.json, and what
of that fails the image, by the policy, to DIR/reports/scan.json.

The database is Grype's own archive (vulnerability-db_v6....tar.zst), as an artefact
of one layer. Nothing is asked of the Internet. One that is missing, broken, tampered
with or too old is an error. Packages of a distribution that it does not know fail the
image, unless the policy says otherwise. Without --database nothing is looked for and
no report is written: the verdict says that the check was off.`,
		Example: `  grype vulnerabilities --layout /tmp/image --database registry.example.com/revet/grype-database:current --policy policy.yaml`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	o.connection.Flags(f, 10*time.Minute)
	f.StringVar(&o.layout, "layout", "", "directory that fetch wrote")
	f.StringVar(&o.database, "database", "", "Grype's database, as host/repository:tag or @sha256:...; empty looks for nothing")
	f.DurationVar(&o.maxAge, "database-max-age", 120*time.Hour, "how old the database may be")
	f.Int64Var(&o.maxBytes, "database-max-bytes", 1<<30, "how large its archive may be")
	f.StringVar(&o.policy, "policy", "", "file that says what fails an image; it may be missing")
	f.StringVar(&o.temp, "temp", "", "directory for the database and what is unpacked of images; empty for the system's")
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
	dir, err := layout.Open(o.layout)
	if err != nil {
		return err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(o.temp, "revet-grype-")
	if err != nil {
		return fmt.Errorf("making room for the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	// Syft unpacks layers below it.
	if err := os.Setenv("TMPDIR", temp); err != nil {
		return fmt.Errorf("making room for layers: %w", err)
	}
	found, err := o.look(ctx, dir, tree, temp, start)
	if err != nil {
		return err
	}
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

// look finds the vulnerabilities of all images.
func (o vulnerabilitiesOptions) look(ctx context.Context, dir layout.Dir, tree content.Tree, temp string, now time.Time) (out findings.File, err error) {
	db, err := o.open(ctx, temp, now)
	if err != nil {
		return findings.File{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	out = findings.File{
		Digest: tree.Root.Digest, Scanner: scanner(),
		Database: findings.Database{Reference: o.database, Digest: db.digest, AsOf: db.built, Ecosystems: []string{}},
	}
	for _, img := range tree.Images {
		looked, vulnerabilities, err := db.scan(dir, img, temp)
		if err == nil {
			err = ctx.Err() // Grype itself does not ask
		}
		if err != nil {
			return findings.File{}, content.Within(err, "image "+img.Config.String())
		}
		out.Images = append(out.Images, looked)
		out.Vulnerabilities = append(out.Vulnerabilities, vulnerabilities...)
	}
	order(out.Vulnerabilities)
	return out, nil
}
