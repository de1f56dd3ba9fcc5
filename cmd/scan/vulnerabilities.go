package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
)

type vulnerabilitiesOptions struct{ stepcmd.Vulnerabilities }

func newVulnerabilities() *cobra.Command {
	var o vulnerabilitiesOptions
	cmd := &cobra.Command{
		Use:   "vulnerabilities --layout DIR --database HOST/REPOSITORY:TAG",
		Short: "Look for vulnerabilities of the packages that sbom found",
		Long: `Uses Grype to compare the packages that the step sbom found with a vulnerability
database. Writes all findings to DIR/scan/findings.json. Writes those that fail the
image by the policy, and those that only warn, to DIR/reports/scan.json.

A database that is missing, broken, tampered with, empty, too old or too new is an
error. Packages that the database does not cover, packages that could not be compared,
and files that sbom could not read fail the image, unless the policy says otherwise.`,
		Example: `  scan vulnerabilities --layout /tmp/image --database registry.example.com/revet/database:current --policy policy.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Self = stepcmd.Self(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout(), o.look)
		},
	}
	o.Flags(cmd.Flags())
	return stepcmd.Require(cmd, "layout")
}

// look compares the packages that sbom found with the database.
func (o *vulnerabilitiesOptions) look(ctx context.Context, dir oci.Layout, tree oci.Tree, now time.Time) (found result.Findings, err error) {
	stock, inventory, err := result.ReadInventory(dir.Path())
	if err != nil {
		return result.Findings{}, err
	}
	if err := stock.Covers(tree); err != nil {
		return result.Findings{}, err
	}
	registry, err := o.Connection.Options()
	if err != nil {
		return result.Findings{}, err
	}
	db, err := database.Open(ctx, o.Database, database.Options{Registry: registry, MaxAge: o.MaxAge, Now: now, Dir: o.Temp})
	if err != nil {
		return result.Findings{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found, err = match.New(db, now).File(ctx, stock)
	if err != nil {
		return result.Findings{}, oci.Within(err, "database "+o.Database)
	}
	found.Inventory = inventory
	info := db.Info()
	found.Database = result.ScanDatabase{Digest: info.Digest, AsOf: info.AsOf, Schema: info.Schema, Ecosystems: []string{}}
	for _, e := range db.Config().Ecosystems {
		found.Database.Ecosystems = append(found.Database.Ecosystems, e.Name)
	}
	return found, nil
}
