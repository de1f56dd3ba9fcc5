package stepcmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/signature"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
)

// Signature looks for signatures on a digest.
type Signature struct {
	Registry
	Policy string
	Keys   string
	// Self is the image and the version of the program.
	Self string
}

// NewSignature returns the command line of the step.
func NewSignature(results *string) *cobra.Command {
	var o Signature
	cmd := &cobra.Command{
		Use:   "signature --reference HOST/REPOSITORY@sha256:... --keys DIR --policy Required",
		Short: "Verify that a trusted key signed the digest, as cosign does",
		Long: `Looks for signatures on the digest, under cosign's tag and among the digest's
referrers. The keys are the files in DIR ending in .pub: public keys in PEM,
ECDSA on P-256, RSA or Ed25519.

Required fails an image that no key signed. Optional fails an image that has
signatures, but none by a key; without keys it does not look. Off never looks.
If the registry cannot be read, the step fails; the image does not count as unsigned.`,
		Example: `  step signature --reference registry.example.com/team/app@sha256:4f1c... --keys . --policy Required`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Self = Self(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout(), *results)
		},
	}
	o.flags(cmd.Flags(), 2*time.Minute)
	cmd.Flags().StringVar(&o.Policy, "policy", "", "Required, Optional or Off")
	cmd.Flags().StringVar(&o.Keys, "keys", "", "directory of public keys; may be missing")
	return Require(cmd, "reference", "policy")
}

// Run does the work of the step.
func (o Signature) Run(ctx context.Context, out io.Writer, results string) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	fmt.Fprintf(out, "kernel: %s\n", kernel())
	ref, options, err := o.open()
	if err != nil {
		return err
	}
	policy, err := signature.ParsePolicy(o.Policy)
	if err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	var keys []signature.Key
	if o.Keys != "" {
		if keys, err = signature.LoadKeys(o.Keys); err != nil {
			return err
		}
	}
	look, err := policy.Looks(keys)
	if err != nil {
		return err
	}
	judged := signature.NotLooked(ref.Digest())
	if look {
		src, err := signature.NewRemote(ctx, ref.Repository(), options)
		if err != nil {
			return err
		}
		found, err := signature.Look(ctx, src, ref.Digest(), keys)
		if err != nil {
			return err
		}
		for _, why := range found.Refused {
			fmt.Fprintln(out, "refused:", result.Line(why))
		}
		for _, why := range found.Unread {
			fmt.Fprintln(out, "could not check:", result.Line(why))
		}
		fmt.Fprintf(out, "signed by: %s\n", strings.Join(found.By, ", "))
		judged = signature.Judge(policy, ref.Digest(), found)
	}
	if judged.Parts, err = decidedKeys(o.Self, policy, keys); err != nil {
		return err
	}
	fmt.Fprintf(out, "signature of %s: %s (policy %s, keys %d)\n", ref, judged.Signature, policy, len(keys))
	return writeOutcome(results, judged)
}

// writeOutcome writes the result of a Task, unless results is empty.
func writeOutcome(results string, o taskresult.Result) error {
	text, err := o.Encode()
	if err != nil || results == "" {
		return err
	}
	return verdict.WriteResult(results, runresult.Outcome, text)
}
