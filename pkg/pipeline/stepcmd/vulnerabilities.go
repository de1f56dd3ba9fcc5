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

// Vulnerabilities is the step that looks for vulnerabilities, without the scanner itself. It holds
// the options and decides what happens to the findings. Two scanners that return equal
// [result.Findings] get the same verdict.
type Vulnerabilities struct {
	Connection Connection
	// Reference is the image, as host/repository@digest. It is empty if nobody knows it.
	Reference string
	// Layout is the directory that fetch wrote.
	Layout string
	// Scan switches the step on or off.
	Scan Scan
	// Database is the reference of the scanner's database. If it is empty, DatabaseFile names it.
	Database string
	// DatabaseFile is a file that holds the reference. It may be missing or empty.
	DatabaseFile string
	// MaxAge is the maximum age of the database's data.
	MaxAge time.Duration
	// Temp is a directory that the scanner may write to. If it is empty, the scanner uses the
	// system's temporary directory.
	Temp string
	// Policy is the policy file, which decides what fails an image. It may be missing.
	Policy string
	// Self is the image and the version of the program.
	Self string
}

// Flags declares the flags of v.
func (v *Vulnerabilities) Flags(f *pflag.FlagSet) {
	v.Connection.Flags(f, 10*time.Minute)
	f.StringVar(&v.Layout, "layout", "", "layout directory that the earlier steps wrote")
	f.StringVar(&v.Reference, "reference", "", "image, as host/repository@sha256:...; without it no policy exception applies")
	v.Scan.Flag(f)
	f.StringVar(&v.Database, "database", "", "vulnerability database, as host/repository:tag or @sha256:...; required unless --database-file names one or --scan is Off")
	f.StringVar(&v.DatabaseFile, "database-file", "", "file that holds the database reference, read if --database is empty; may be missing")
	f.DurationVar(&v.MaxAge, "database-max-age", 120*time.Hour, "maximum age of the database's data")
	f.StringVar(&v.Policy, "policy", "", "policy file, which decides what fails an image; may be missing")
	f.StringVar(&v.Temp, "temp", "", "directory for the database and unpacked files; empty means the system's temporary directory")
}

// Run calls scan on the image. It writes the findings, and a report that lists which of them fail
// the image by the policy. If Scan is off, it writes neither. Without a database it fails, because
// only the owner may decide to skip the scan.
func (v *Vulnerabilities) Run(ctx context.Context, out io.Writer, scan func(context.Context, oci.Layout, oci.Tree, time.Time) (result.Findings, error)) error {
	if v.Scan.Off {
		fmt.Fprintln(out, "scan is Off: vulnerabilities are not checked, and the verdict says so")
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
	parts := Decided(judged.Check, v.Self, map[string]string{"database-max-age": v.MaxAge.String()})
	parts[result.PartPolicy] = rules.Part()
	if err := result.WriteParts(dir.Path(), judged.Check, parts); err != nil {
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

// findDatabase sets v.Database from its file. It returns an error if neither names a database.
func (v *Vulnerabilities) findDatabase() error {
	if v.Database == "" && v.DatabaseFile != "" {
		raw, err := os.ReadFile(v.DatabaseFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the database reference: %w", err)
		}
		v.Database = strings.TrimSpace(string(raw))
	}
	if v.Database == "" {
		return vulndb.NotConfigured()
	}
	return nil
}

// matches returns an error if the reference and the layout name different images. Otherwise a
// policy exception could apply to an image that it was not made for.
func (v *Vulnerabilities) matches(tree oci.Tree) error {
	if v.Reference == "" {
		return nil
	}
	ref, err := image.ParseReference(v.Reference)
	if err != nil {
		return fmt.Errorf("--reference: %w", err)
	}
	if ref.Digest() != tree.Root.Digest {
		return fmt.Errorf("--reference: the layout holds %s, not %s", tree.Root.Digest, ref.Digest())
	}
	return nil
}
