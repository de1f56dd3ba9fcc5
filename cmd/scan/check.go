package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
	"github.com/revet-dev/revet/triggers"
)

// The checks of the pipeline, as its Tasks expect them.
var (
	imageChecks = []string{"layers", "validate", "scan"}
	allChecks   = []string{"layers", "validate", "scan", "signature"}
)

// localRepository is the repository that the policy sees for an image that is in no registry.
const localRepository = "local/image"

type checkOptions struct {
	stepcmd.Fetch
	scan      vulnerabilitiesOptions
	rules     string
	signature string
	keys      string
	output    string
	verbose   bool
}

func newCheck() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check IMAGE",
		Short: "Check an image as the pipeline does, without a cluster",
		Long: `Runs every step of the pipeline on one image, and prints the verdict: fetch, layers,
packages, vulnerabilities, rules, signature. Check pushes and records nothing.

IMAGE is host/repository:tag or host/repository@sha256:...; an OCI image layout, as
./DIR or ./DIR:TAG; or an archive of a layout or of "docker save", as ./FILE.tar.
File names must start with "/", "./" or "../", or end in ".tar".

Without --rules and --policy, check uses those that the pipeline is installed with. If
the image is in no registry, it has no signatures, and --signature is Off.

The exit status is 0 for a pass, 1 for a fail, and 2 if there is no verdict.`,
		Example: `  # Before a push, in CI
  docker save app:1.0 -o app.tar
  scan check ./app.tar --database registry.example.com/revet/database:current

  # What is in a registry, for a script
  scan check registry.example.com/team/app:1.0 -o json --platforms linux/amd64 \
    --database registry.example.com/revet/database:current --signature Required --keys ./keys`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{stepcmd.ErrorStatus: "2"},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Self = stepcmd.Self(cmd)
			log := io.Discard
			if o.verbose {
				log = cmd.ErrOrStderr()
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), log, args[0])
		},
	}
	f := cmd.Flags()
	o.Flags(f, 30*time.Minute)
	o.LimitFlags(f)
	o.scan.Scan.Flag(f)
	f.StringVar(&o.scan.Database, "database", "", "vulnerability database, as host/repository:tag or @sha256:...; required unless --scan is Off")
	f.DurationVar(&o.scan.MaxAge, "database-max-age", 120*time.Hour, "maximum age of the database's data")
	f.StringVar(&o.scan.Temp, "temp", "", "directory for unpacked files; empty means the system's temporary directory")
	f.StringVar(&o.Platforms, "platforms", "", "platforms of an index to check, e.g. linux/amd64,linux/arm64; empty means all")
	f.StringVar(&o.rules, "rules", "", "file of validation rules; empty means the pipeline's installed rules")
	f.StringVar(&o.Policy, "policy", "", "policy file, which decides what fails an image; empty means the pipeline's installed policy")
	f.StringVar(&o.signature, "signature", "", "Required, Optional or Off; for an image in a registry the default is Optional")
	f.StringVar(&o.keys, "keys", "", "directory of public keys, as *.pub")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print the output of each step on standard error")
	f.StringVarP(&o.output, "output", "o", "", "json prints the verdict as JSON, on the last line")
	return cmd
}

// checked is the result as -o json prints it.
type checked struct {
	Verdict string          `json:"verdict"` // pass, fail or error
	Reason  string          `json:"reason"`
	Message string          `json:"message,omitempty"` // if Verdict is error
	Digest  string          `json:"digest,omitempty"`
	Summary json.RawMessage `json:"summary,omitempty"`
	Basis   json.RawMessage `json:"basis,omitempty"`
}

// The verdicts besides those of package verdict, and the reasons for them.
const (
	verdictError  = "error"
	reasonPassed  = "Passed"
	reasonFailed  = "Failed"
	reasonInvalid = "InvalidArguments"
	reasonUnknown = "CheckFailed"
)

// failedError sets the exit status to 1 after everything was printed.
type failedError struct{}

func (failedError) Error() string   { return "" }
func (failedError) ExitStatus() int { return 1 }

func (o checkOptions) run(ctx context.Context, out, log io.Writer, name string) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("--output is %q; accepted is json", o.output)
	}
	temp, err := os.MkdirTemp(o.scan.Temp, "revet-check-")
	if err != nil {
		return fmt.Errorf("making a directory to check in: %w", err)
	}
	defer os.RemoveAll(temp)
	result, err := o.check(ctx, log, name, temp)
	if err != nil {
		result = checked{Verdict: verdictError, Reason: reasonOf(err), Message: err.Error(), Digest: result.Digest}
	}
	if o.output == "json" {
		if jsonErr := json.NewEncoder(out).Encode(result); jsonErr != nil {
			return errors.Join(err, jsonErr)
		}
	} else if err == nil {
		if err := printChecked(out, name, result); err != nil {
			return err
		}
	}
	if err == nil && result.Verdict != string(verdict.Pass) {
		return failedError{}
	}
	return err
}

// reasonOf returns the typed reason of an error, for scripts.
func reasonOf(err error) string {
	var e *oci.Error
	if errors.As(err, &e) {
		return string(e.Reason)
	}
	return reasonUnknown
}

// check runs the steps one after another, as the pipeline's Tasks do.
func (o *checkOptions) check(ctx context.Context, log io.Writer, name, temp string) (checked, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	what, err := o.open(ctx, name, filepath.Join(temp, "archive"))
	if err != nil {
		return checked{}, err
	}
	done := checked{Digest: what.reference.Digest().String()}
	if err := o.defaults(temp, what.local); err != nil {
		return done, err
	}
	reference, layout := what.reference.String(), filepath.Join(temp, "image")
	registry := stepcmd.Registry{Connection: o.Connection, Reference: reference}
	o.Layout, o.scan.Layout = layout, layout
	o.scan.Self = o.Self
	o.scan.Reference, o.scan.Connection, o.scan.Policy = reference, o.Connection, o.Policy
	results := func(task string) string { return filepath.Join(temp, task) }
	for _, task := range []string{"image", "signature", "verdict"} {
		if err := os.MkdirAll(results(task), 0o750); err != nil {
			return done, err
		}
	}
	steps := []func() error{
		func() error { return o.From(ctx, log, what.source, what.reference) },
		func() error { return o.stock(layout).run(ctx, log) },
		func() error { return o.scan.Run(ctx, log, o.scan.look) },
		func() error {
			return stepcmd.Validate{Layout: layout, Rules: o.rules, Timeout: o.Timeout, Self: o.Self}.Run(ctx, log)
		},
		func() error {
			return stepcmd.Publish{Registry: registry, Layout: layout, Expect: imageChecks, Scan: o.scan.Scan, Mode: "none", Self: o.Self}.Run(ctx, log, results("image"))
		},
		func() error {
			return stepcmd.Signature{Registry: registry, Policy: o.signature, Keys: o.keys, Self: o.Self}.Run(ctx, log, results("signature"))
		},
		func() error {
			var outcomes []string
			for _, task := range []string{"image", "signature"} {
				text, err := os.ReadFile(filepath.Join(results(task), runresult.Outcome))
				if err != nil {
					return fmt.Errorf("reading the results of the steps: %w", err)
				}
				outcomes = append(outcomes, string(text))
			}
			return stepcmd.Verdict{Expect: allChecks, Outcomes: outcomes, Self: o.Self}.Run(ctx, log, results("verdict"))
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return done, err
		}
	}
	return o.read(done, results("verdict"))
}

// read reads the results of the last step, which are the results of a run.
func (o *checkOptions) read(done checked, dir string) (checked, error) {
	read := map[string]string{}
	for _, name := range []string{runresult.Verdict, runresult.Digest, runresult.Summary, runresult.BasisResult} {
		text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // dir is our own directory
		if err != nil {
			return done, fmt.Errorf("reading the verdict: %w", err)
		}
		read[name] = string(text)
	}
	done.Verdict, done.Digest, done.Summary = read[runresult.Verdict], read[runresult.Digest], json.RawMessage(read[runresult.Summary])
	done.Basis = json.RawMessage(read[runresult.BasisResult])
	done.Reason = reasonFailed
	if done.Verdict == string(verdict.Pass) {
		done.Reason = reasonPassed
	}
	return done, nil
}

// subject is the image to check.
type subject struct {
	source    fetch.Source
	reference image.Reference
	local     bool
}

// open finds the image and its digest.
func (o *checkOptions) open(ctx context.Context, name, temp string) (subject, error) {
	if fetch.IsLocal(name) {
		src, digest, err := fetch.OpenLocal(ctx, name, temp)
		if err != nil {
			return subject{}, oci.Errorf(reasonInvalid, "", "%w", err)
		}
		repository, err := image.ParseRepository(localRepository)
		return subject{src, repository.At(digest), true}, err
	}
	options, err := o.Options()
	if err != nil {
		return subject{}, err
	}
	repository, tag, digest, err := parseName(name)
	if err != nil {
		return subject{}, oci.Errorf(reasonInvalid, "", "%w", err)
	}
	src, err := fetch.NewRegistry(ctx, repository, options)
	if err != nil {
		return subject{}, err
	}
	if digest.IsZero() {
		if digest, err = resolve(ctx, src, tag); err != nil {
			return subject{}, oci.Within(err, name)
		}
	}
	return subject{src, repository.At(digest), false}, nil
}

// resolve returns the digest of the manifest that a tag names now, computed from its bytes.
func resolve(ctx context.Context, src *fetch.Registry, tag string) (image.Digest, error) {
	rc, err := src.Tagged(ctx, tag)
	if err != nil {
		return image.Digest{}, err
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, oci.MaxManifest+1))
	if err != nil {
		return image.Digest{}, oci.Errorf(oci.ReasonUnavailable, "tag "+tag, "%w", err)
	}
	if len(raw) > oci.MaxManifest {
		return image.Digest{}, oci.Errorf(oci.ReasonTooLarge, "tag "+tag, "its manifest is larger than %d bytes", oci.MaxManifest)
	}
	return image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256(raw)))
}

// stock returns the step sbom, with the limits of the step fetch.
func (o *checkOptions) stock(layout string) sbomOptions {
	s := sbomOptions{layout: layout, timeout: o.Timeout, self: o.Self}
	s.Temp, s.Limits = o.scan.Temp, layers.DefaultLimits()
	s.Limits.Entries, s.Limits.Unpacked = o.Limits.Entries, o.Limits.Unpacked
	return s
}

// defaults sets the options that the user left out.
func (o *checkOptions) defaults(temp string, isLocal bool) error {
	if o.signature == "" {
		o.signature = "Optional"
		if isLocal {
			o.signature = "Off"
		}
	}
	if isLocal && o.signature != "Off" {
		return oci.Errorf(reasonInvalid, "", "--signature is %s, but an image that is in no registry has no signatures; check it in its registry, or use Off", o.signature)
	}
	for _, file := range []struct {
		path *string
		name string
		text func() ([]byte, error)
	}{{&o.rules, "rules.yaml", triggers.Rules}, {&o.Policy, "policy.yaml", triggers.Policy}} {
		if *file.path != "" {
			// The pipeline's own files may be missing, but a file that the user names must exist.
			if _, err := os.Stat(*file.path); err != nil {
				return oci.Errorf(reasonInvalid, "", "reading %s: %w; correct the path, or leave out the flag to use the pipeline's installed file", file.name, err)
			}
			continue
		}
		text, err := file.text()
		if err != nil {
			return err
		}
		*file.path = filepath.Join(temp, file.name)
		if err := os.WriteFile(*file.path, text, 0o600); err != nil {
			return fmt.Errorf("writing the default %s: %w", file.name, err)
		}
	}
	return nil
}
