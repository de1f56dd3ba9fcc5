package attestation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/signature"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// The exit statuses.
const (
	exitNotVerified = 1
	exitNotKnown    = 2
)

const long = `Verify the signed verdict of an image.

Revet's attestor signs the verdicts "pass" of triggers that ask for it, and attaches them
to the image in its registry. This command reads them there, and verifies that
  - a key that you trust signed a verification summary (SLSA VSA v1)
  - the summary is about this digest, in this repository
  - it says PASSED, and no other summary by a key that you trust says otherwise
  - it is young enough, and from the cluster and by the policy that you name

Then it says what it did not check. It asks no cluster, and needs no more rights than
pulling the image. Credentials are those of your docker configuration.

The exit status is 0 if the image is verified, 1 if it is not, and 2 if that is not known,
as the registry could not be read.`

const example = `  # Was this image verified within the last day, in our cluster?
  kubectl revet attestation verify registry.example.com/team/app@sha256:DIGEST \
    --key revet.pub --max-age 24h --cluster https://clusters.example.com/prod-1

  # While keys are rotated
  kubectl revet attestation verify registry.example.com/team/app@sha256:DIGEST --key old.pub --key new.pub

  # The public half of a key
  openssl pkey -in 2026-11-30.pem -pubout -out revet.pub`

type options struct {
	keys     []string
	maxAge   time.Duration
	cluster  string
	policy   string
	levels   []string
	insecure []string
	timeout  time.Duration
}

// New returns the command attestation.
func New(env command.Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "attestation",
		Short: "Verify signed verdicts",
		Long:  "Verify signed verdicts, as a consumer of them should.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.Usagef("there is no command %q; there is verify", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newVerify(env))
	return c
}

func newVerify(env command.Environment) *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "verify IMAGE@DIGEST --key FILE",
		Short: "Verify the signed verdict of an image",
		Long:  long, Example: example,
		Args: command.ExactlyOne("IMAGE@DIGEST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c.Context(), env, args[0]) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.keys, "key", nil, "file with public keys in PEM that you trust; may be repeated")
	f.DurationVar(&o.maxAge, "max-age", 0, "how old the verdict may be; without it, any age will do")
	f.StringVar(&o.cluster, "cluster", "", "name of the cluster that has to have verified it")
	f.StringVar(&o.policy, "policy", "", "URI of the policy that has to have decided")
	f.StringArrayVar(&o.levels, "level", nil, "level that the summary must claim, such as REVET_SANDBOXED; may be repeated")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "host[:port] to talk to without TLS; may be repeated")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "time limit for the whole command")
	return c
}

func (o *options) run(ctx context.Context, env command.Environment, arg string) error {
	want, err := o.expectation(arg, env.Now())
	if err != nil {
		return err
	}
	trust, err := fetch.LoadTrust("", o.insecure)
	if err != nil {
		return command.Usagef("--insecure-registry: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	source, err := signature.NewRemote(ctx, want.Image.Repository(), fetch.Options{Trust: trust, Keychain: authn.DefaultKeychain})
	if err != nil {
		return notKnown(err)
	}
	found, err := look(ctx, source, want)
	switch {
	case errors.Is(err, errNotVerified):
		return &command.StatusError{Status: exitNotVerified, Err: err}
	case err != nil:
		return notKnown(err)
	}
	show(env.Streams.Out, want, found)
	return nil
}

func notKnown(err error) error {
	return &command.StatusError{Status: exitNotKnown, Err: fmt.Errorf("it is not known whether the image was verified: %w", err)}
}

// expectation reads what the command line asks.
func (o *options) expectation(arg string, now time.Time) (attestation.Expectation, error) {
	ref, err := image.ParseReference(arg)
	if err != nil {
		return attestation.Expectation{}, command.Usagef("%w; name it by digest, as host/repository@sha256:DIGEST", err)
	}
	if len(o.keys) == 0 {
		return attestation.Expectation{}, command.Usagef("--key is missing: name the file with the public key that you trust")
	}
	if o.timeout <= 0 || o.maxAge < 0 {
		return attestation.Expectation{}, command.Usagef("--timeout must be positive, and --max-age must not be negative")
	}
	want := attestation.Expectation{Image: ref, MaxAge: o.maxAge, Cluster: o.cluster, Policy: o.policy, Levels: o.levels, Now: now}
	for _, file := range o.keys {
		keys, err := readKeys(file)
		if err != nil {
			return attestation.Expectation{}, command.Usagef("key %q: %w", file, err)
		}
		want.Keys = append(want.Keys, keys...)
	}
	return want, nil
}

func readKeys(file string) ([]sigstore.Key, error) {
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, err
	}
	return sigstore.ParseKeys(filepath.Base(file), raw)
}
