package stepcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Vulnerabilities is the step that looks for vulnerabilities, without the scanner: its
// options, and what happens to the findings. Scanners that agree on
// [result.Findings] come to the same verdict.
type Vulnerabilities struct {
	Connection Connection
	// Reference is the image, as host/repository@digest; empty if that is not known.
	Reference string
	// Layout is the directory that fetch wrote.
	Layout string
	// Scan switches the step on or off.
	Scan Scan
	// Database is where the scanner's database is; empty for what DatabaseFile names.
	Database string
	// DatabaseFile is a file that names it; it may be missing or empty.
	DatabaseFile string
	// MaxAge is how old the database's data may be.
	MaxAge time.Duration
	// Temp is where the scanner may write; empty for the system's.
	Temp string
	// Policy is the file that says what fails an image; it may be missing.
	Policy string
}

// Flags declares the flags of v.
func (v *Vulnerabilities) Flags(f *pflag.FlagSet) {
	v.Connection.Flags(f, 10*time.Minute)
	f.StringVar(&v.Layout, "layout", "", "directory that the steps before wrote")
	f.StringVar(&v.Reference, "reference", "", "the image, as host/repository@sha256:...; without it no exception of the policy holds")
	v.Scan.Flag(f)
	f.StringVar(&v.Database, "database", "", "vulnerability database, as host/repository:tag or @sha256:...; required unless --database-file names one or --scan is Off")
	f.StringVar(&v.DatabaseFile, "database-file", "", "file that names the database where --database is empty; it may be missing")
	f.DurationVar(&v.MaxAge, "database-max-age", 120*time.Hour, "how old the database's data may be")
	f.StringVar(&v.Policy, "policy", "", "file that says what fails an image; it may be missing")
	f.StringVar(&v.Temp, "temp", "", "directory for the database and what is unpacked; empty for the system's")
}

// Run lets scan look into the image. It writes the findings, and a report that says by the
// policy which of them fail the image. If the scan is off, it writes neither. Without a
// database it fails: only the owner may decide that nobody looks.
func (v *Vulnerabilities) Run(ctx context.Context, out io.Writer, scan func(context.Context, oci.Layout, oci.Tree, time.Time) (result.Findings, error)) error {
	if v.Scan.Off {
		fmt.Fprintln(out, "scan is Off: nobody looks for vulnerabilities, and the verdict says so")
		return nil
	}
	if err := v.findDatabase(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, v.Connection.Timeout)
	defer cancel()
	start := time.Now().UTC()
	rules := policy.Default()
	if v.Policy != "" {
		var err error
		if rules, err = policy.Load(v.Policy); err != nil {
			return err
		}
	}
	dir, err := oci.OpenLayout(v.Layout)
	if err != nil {
		return err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return err
	}
	if err := v.matches(tree); err != nil {
		return err
	}
	found, err := scan(ctx, dir, tree, start)
	if err != nil {
		return err
	}
	found.Database.Reference = v.Database
	judged, notes := rules.Report(&found, v.Reference, start)
	if err := result.WriteFindings(dir.Path(), found); err != nil {
		return err
	}
	if err := result.WriteReport(dir.Path(), judged); err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(out, "note:", result.Line(note))
	}
	for _, f := range judged.Findings {
		fmt.Fprintf(out, "%s: %s: %s: %s\n", f.Severity, f.Platform, f.Rule, f.Message)
	}
	fmt.Fprintf(out, "scanned %s: images %d, vulnerabilities %d, findings %d, database %s of %s, in %s\n", tree.Root.Digest, len(found.Images),
		len(found.Vulnerabilities), len(judged.Findings), found.Database.Digest, found.Database.AsOf.Format(time.RFC3339), time.Since(start).Round(time.Millisecond))
	return nil
}

// findDatabase sets v.Database from its file. It is an error if neither names a database.
func (v *Vulnerabilities) findDatabase() error {
	if v.Database == "" && v.DatabaseFile != "" {
		raw, err := os.ReadFile(v.DatabaseFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading which database to compare with: %w", err)
		}
		v.Database = strings.TrimSpace(string(raw))
	}
	if v.Database == "" {
		return vulndb.NotConfigured()
	}
	return nil
}

// matches returns an error if the reference names another image than the layout's. An
// exception of the policy would otherwise apply to an image that it was not made for.
func (v *Vulnerabilities) matches(tree oci.Tree) error {
	if v.Reference == "" {
		return nil
	}
	ref, err := image.ParseReference(v.Reference)
	if err != nil {
		return fmt.Errorf("--reference: %w", err)
	}
	if ref.Digest() != tree.Root.Digest {
		return fmt.Errorf("--reference: the layout holds %s and not %s", tree.Root.Digest, ref.Digest())
	}
	return nil
}
