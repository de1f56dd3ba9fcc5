package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
)

type vulnerabilitiesOptions struct {
	command.Vulnerabilities

	maxBytes int64
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
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.Run(cmd.Context(), cmd.OutOrStdout(), o.look) },
	}
	o.Flags(cmd.Flags())
	cmd.Flags().Int64Var(&o.maxBytes, "database-max-bytes", 1<<30, "how large the database's archive may be")
	return command.Require(cmd, "layout")
}

// look finds the vulnerabilities of all images.
func (o *vulnerabilitiesOptions) look(ctx context.Context, dir layout.Dir, tree content.Tree, now time.Time) (out findings.File, err error) {
	temp, err := os.MkdirTemp(o.Temp, "revet-grype-")
	if err != nil {
		return findings.File{}, fmt.Errorf("making room for the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	// Syft unpacks layers below it.
	if err := os.Setenv("TMPDIR", temp); err != nil {
		return findings.File{}, fmt.Errorf("making room for layers: %w", err)
	}
	db, err := o.open(ctx, temp, now)
	if err != nil {
		return findings.File{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	out = findings.File{
		Digest: tree.Root.Digest, Scanner: scanner(),
		Database: findings.Database{Digest: db.digest, AsOf: db.built, Ecosystems: []string{}},
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
