package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/cmd/scan/internal/mirror"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

func newDatabase() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "database",
		Short: "Fill and show the vulnerability database that scans use",
		Long: `The database is an artefact in a registry. It holds the scanner's own file with its
indices. Scans pull it by tag or by digest. See docs/database.md.`,
		Example: `  scan database mirror --from https://grype.anchore.io/databases/v6 --to registry.example.com/revet/database:current
  scan database inspect registry.example.com/revet/database:current`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMirror(), newInspect())
	return cmd
}

type mirrorOptions struct {
	connection stepcmd.Connection
	to         string
	mirror.Options
}

func newMirror() *cobra.Command {
	var o mirrorOptions
	cmd := &cobra.Command{
		Use:     "mirror --from SOURCE --to HOST/REPOSITORY:TAG",
		Aliases: []string{"build"},
		Short:   "Make a database from a source, and write it under a tag",
		Long: `Makes a database from SOURCE, loads it once as a scan does, and writes it under a tag,
unless the tag already holds the same. SOURCE is

  https://host/path    a base under which latest.json names an archive, as Anchore
                       publishes the database of Grype
  /path, ./path        a directory of the same two files, of a file vulnerability.db, or
                       of records in OSV's format, such as data/osv of the Go module
                       golang.org/x/vulndb
  host/repository:tag  another mirror, verified completely and then copied unchanged

--malware adds records of malicious packages, which Anchore's database does not have.
It takes a directory of records, or a base URL with ECOSYSTEM/all.zip below it.

Mirror never replaces a database with an empty one, or with one that this version
cannot load. Without --allow-smaller, it also refuses a database that is older, lacks a
provider or an ecosystem, or has lost a quarter of the records of one. It uses plain
HTTP, also for a source, only for hosts that --insecure-registry lists.`,
		Example: `  scan database mirror --from https://grype.anchore.io/databases/v6 --malware https://osv-vulnerabilities.storage.googleapis.com --to registry.example.com/revet/database:current
  scan database mirror --from "$(go mod download -json golang.org/x/vulndb@latest | jq -r .Dir)/data/osv" --to localhost:5001/revet/database:current --insecure-registry localhost:5001
  scan database mirror --from registry.example.com/revet/database:current --to mirror.example.com/revet/database:current`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	o.connection.Flags(f, time.Hour)
	f.StringVar(&o.From, "from", "", "source of the database")
	f.StringVar(&o.to, "to", "", "database to write, as host/repository:tag")
	f.StringVar(&o.Malware, "malware", "", "source of records of malicious packages; empty for none")
	f.StringSliceVar(&o.Ecosystems, "malware-ecosystems", []string{"npm", "PyPI", "RubyGems", "crates.io", "Go", "NuGet", "Packagist", "Maven"},
		"ecosystems whose malicious packages to take from a URL, in OSV's names")
	f.StringVar(&o.Dir, "dir", "", "directory for downloads and the database, removed afterwards; empty means the system's temporary directory")
	f.Int64Var(&o.MaxDownload, "max-download", 2<<30, "maximum bytes of one file of a source")
	f.IntVar(&o.MaxUnreadable, "max-unreadable", 0, "how many unreadable records to leave out; more are an error")
	f.BoolVar(&o.AllowSmaller, "allow-smaller", false, "also replace a database that has more or newer records")
	return stepcmd.Require(cmd, "from", "to")
}

func (o mirrorOptions) run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.connection.Timeout)
	defer cancel()
	var err error
	if o.Registry, err = o.connection.Options(); err != nil {
		return err
	}
	if o.To, err = vulndb.ParseReference(o.to); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	o.Now = time.Now().UTC().Truncate(time.Second)
	done, err := mirror.Run(ctx, o.Options)
	if err != nil {
		return err
	}
	for _, note := range done.Notes {
		fmt.Fprintln(out, "note:", result.Line(note))
	}
	verb := "unchanged"
	if done.Changed {
		verb = "mirrored"
	}
	c := done.Config
	fmt.Fprintf(out, "%s %s: %s@%s: schema %s, providers %d, records %d, as of %s, %d MiB (%d stored), in %s\n",
		verb, o.to, o.To.Repository(), done.Digest, c.Schema, len(c.Providers), c.Records(), c.AsOf.Format(time.RFC3339),
		mib(c.File.Size), mib(stored(c)), time.Since(o.Now).Round(time.Second))
	return nil
}

// stored returns the bytes that the parts take in the registry.
func stored(c vulndb.Config) int64 {
	var n int64
	for _, p := range c.Parts {
		n += p.Size
	}
	return n
}

func mib(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

type inspectOptions struct {
	stepcmd.Connection
	maxAge time.Duration
	verify bool
	output string
	dir    string
}

func newInspect() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect HOST/REPOSITORY:TAG",
		Short: "Show what is in a database, and how old it is",
		Long: `Shows the digest of a database, and what the database says about itself: its source,
age and content. With --verify, inspect pulls all of it, compares it with these claims,
and loads it as a scan does.`,
		Example: `  scan database inspect registry.example.com/revet/database:current
  scan database inspect registry.example.com/revet/database@sha256:4f1c... --verify --max-age 120h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), cmd.OutOrStdout(), args[0]) },
	}
	f := cmd.Flags()
	o.Flags(f, 15*time.Minute)
	f.DurationVar(&o.maxAge, "max-age", 0, "fail if the data is older; 0 means any age")
	f.BoolVar(&o.verify, "verify", false, "pull and load the whole database")
	f.StringVarP(&o.output, "output", "o", "", "json, or empty for text")
	f.StringVar(&o.dir, "dir", "", "directory for the database, removed afterwards; empty means the system's temporary directory")
	return cmd
}

func (o inspectOptions) run(ctx context.Context, out io.Writer, reference string) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("--output is %q; accepted is json", o.output)
	}
	options, err := o.Options()
	if err != nil {
		return err
	}
	ref, err := vulndb.ParseReference(reference)
	if err != nil {
		return err
	}
	now := time.Now()
	found, err := vulndb.Inspect(ctx, ref, options)
	if err != nil {
		return err
	}
	if err := o.print(out, reference, found, now); err != nil {
		return err
	}
	if o.verify {
		// Verify the digest that was shown. The tag may name something else by now.
		if err := database.Verify(ctx, ref.Repository().At(found.Digest).String(), database.Options{Registry: options, Dir: o.dir}); err != nil {
			return err
		}
		if o.output == "" {
			fmt.Fprintln(out, "verified")
		}
	}
	if err := database.Accept(found.Config); err != nil {
		return err
	}
	return found.Config.CheckAge(o.maxAge, now)
}

func (o inspectOptions) print(out io.Writer, reference string, found vulndb.Artifact, now time.Time) error {
	c := found.Config
	if o.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Reference string        `json:"reference"`
			Digest    image.Digest  `json:"digest"`
			Age       string        `json:"age"`
			Config    vulndb.Config `json:"config"`
		}{reference, found.Digest, age(c.AsOf, now), c})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "database\t%s\n", reference)
	fmt.Fprintf(w, "digest\t%s\n", found.Digest)
	fmt.Fprintf(w, "source\t%s\n", result.Line(c.Source))
	for _, o := range c.Origins {
		if o.Source != c.Source {
			fmt.Fprintf(w, "\t%s\n", result.Line(o.Source))
		}
	}
	fmt.Fprintf(w, "schema\t%s\n", result.Line(c.Schema))
	fmt.Fprintf(w, "as of\t%s, %s old\n", c.AsOf.Format(time.RFC3339), age(c.AsOf, now))
	fmt.Fprintf(w, "mirrored\t%s, %s ago\n", c.Mirrored.Format(time.RFC3339), age(c.Mirrored, now))
	fmt.Fprintf(w, "records\t%d\n", c.Records())
	fmt.Fprintf(w, "size\t%d MiB, %d stored in %d parts\n\n", mib(c.File.Size), mib(stored(c)), len(c.Parts))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "PROVIDER\tRECORDS\tAS OF")
	for _, p := range c.Providers {
		asOf := "not known"
		if !p.AsOf.IsZero() {
			asOf = p.AsOf.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\n", result.Line(p.Name), p.Records, asOf)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nECOSYSTEM\tSTATEMENTS")
	for _, e := range c.Ecosystems {
		fmt.Fprintf(w, "%s\t%d\n", result.Line(e.Name), e.Records)
	}
	return w.Flush()
}

// age returns an age in whole minutes. Databases are hours old.
func age(t, now time.Time) string { return now.Sub(t).Truncate(time.Minute).String() }
