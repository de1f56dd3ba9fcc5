package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb/mirror"
)

func newDatabase() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "database",
		Short: "Fill and show the vulnerability database that scans compare with",
		Long: `The database is an artefact in a registry that holds OSV records; scans pull it by
tag or by digest. See docs/database.md.`,
		Example: `  step database mirror --from https://osv-vulnerabilities.storage.googleapis.com --ecosystems Debian,Go --to registry.example.com/revet/database:current
  step database inspect registry.example.com/revet/database:current`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMirror(), newInspect())
	return cmd
}

type mirrorOptions struct {
	connection command.Connection
	to         string
	mirror.Options
}

func newMirror() *cobra.Command {
	var o mirrorOptions
	cmd := &cobra.Command{
		Use:   "mirror --from SOURCE --to HOST/REPOSITORY:TAG",
		Short: "Copy vulnerability records from a source into a database",
		Long: `Makes a database of the records of SOURCE and writes it under a tag, if it is not
what the tag holds already. SOURCE is

  /path, ./path        a directory of ECOSYSTEM/all.zip, or of records ECOSYSTEM/*.json
                       or *.json
  https://host/path    a base under which ECOSYSTEM/all.zip lies; --ecosystems says which
  host/repository:tag  another mirror, copied as it is after all of it was verified

It refuses to replace a database by an empty one, and without --allow-smaller by
one that lacks an ecosystem, a quarter of the records of one, or is older. Plain
HTTP, also to a source, is for hosts that --insecure-registry lists.`,
		Example: `  step database mirror --from https://osv-vulnerabilities.storage.googleapis.com --ecosystems Debian,Go,npm --to registry.example.com/revet/database:current
  step database mirror --from ./osv --to localhost:5001/revet/database:current --insecure-registry localhost:5001
  step database mirror --from registry.example.com/revet/database:current --to mirror.example.com/revet/database:current`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	o.connection.Flags(f, time.Hour)
	f.StringVar(&o.From, "from", "", "source of the records")
	f.StringVar(&o.to, "to", "", "database to write, as host/repository:tag")
	f.StringSliceVar(&o.Ecosystems, "ecosystems", nil, "ecosystems to take, as OSV names them: Debian,Go,npm; a directory has all if there are none")
	f.StringVar(&o.Dir, "dir", "", "directory for downloads and layers, which are removed; empty for the system's")
	f.Int64Var(&o.MaxDownload, "max-download", 2<<30, "most bytes of one file of a source")
	f.IntVar(&o.MaxUnreadable, "max-unreadable", 0, "most records of an ecosystem to leave out as they cannot be read; more are an error")
	f.BoolVar(&o.AllowSmaller, "allow-smaller", false, "also replace a database that has more, or newer records")
	return command.Require(cmd, "from", "to")
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
		fmt.Fprintln(out, "note:", report.Line(note))
	}
	for _, name := range done.Kept {
		fmt.Fprintf(out, "not downloaded: %s, which did not change\n", name)
	}
	verb := "unchanged"
	if done.Changed {
		verb = "mirrored"
	}
	fmt.Fprintf(out, "%s %s: %s@%s: ecosystems %d, records %d, as of %s, in %s\n", verb, o.to, o.To.Repository(), done.Digest,
		len(done.Config.Ecosystems), done.Config.Records(), done.Config.AsOf.Format(time.RFC3339), time.Since(o.Now).Round(time.Second))
	return nil
}

type inspectOptions struct {
	command.Connection
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
		Long: `Shows the digest of a database, its source, how old it is and what it holds, by
its own words. With --verify all of it is pulled, and held against those.`,
		Example: `  step database inspect registry.example.com/revet/database:current
  step database inspect registry.example.com/revet/database@sha256:4f1c... --verify --max-age 120h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), cmd.OutOrStdout(), args[0]) },
	}
	f := cmd.Flags()
	o.Flags(f, 15*time.Minute)
	f.DurationVar(&o.maxAge, "max-age", 0, "fail if it is older; 0 for any age")
	f.BoolVar(&o.verify, "verify", false, "pull and verify all of it")
	f.StringVarP(&o.output, "output", "o", "", "json, or empty for text")
	f.StringVar(&o.dir, "dir", "", "directory for layers, which are removed; empty for the system's")
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
		if err := o.verifyAll(ctx, ref.Repository().At(found.Digest), vulndb.Options{Registry: options, AnyAge: true, Dir: o.dir}); err != nil {
			return err
		}
	}
	if o.verify && o.output == "" {
		fmt.Fprintln(out, "verified")
	}
	if o.maxAge != 0 {
		return found.Config.CheckAge(o.maxAge, now)
	}
	return nil
}

// verifyAll pulls what was shown, and not what the tag names by now.
func (o inspectOptions) verifyAll(ctx context.Context, shown image.Reference, options vulndb.Options) error {
	db, err := vulndb.Open(ctx, shown.String(), options)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Verify(ctx)
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
	fmt.Fprintf(w, "source\t%s\n", report.Line(c.Source))
	fmt.Fprintf(w, "as of\t%s, %s old\n", c.AsOf.Format(time.RFC3339), age(c.AsOf, now))
	fmt.Fprintf(w, "mirrored\t%s, %s ago\n", c.Mirrored.Format(time.RFC3339), age(c.Mirrored, now))
	fmt.Fprintf(w, "records\t%d\n\n", c.Records())
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "ECOSYSTEM\tRECORDS\tPACKAGES\tUNREADABLE\tNEWEST\tKIB")
	for _, e := range c.Ecosystems {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%d\n", e.Name, e.Records, e.Packages, e.Unreadable, e.Modified.Format(time.RFC3339), (e.Size+1023)/1024)
	}
	return w.Flush()
}

// age is in whole minutes, as databases are hours old.
func age(t, now time.Time) string { return now.Sub(t).Truncate(time.Minute).String() }
