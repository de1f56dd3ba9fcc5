package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/revet-dev/revet/pkg/cli/attestation"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox"
	"github.com/revet-dev/revet/pkg/cli/completion"
	"github.com/revet-dev/revet/pkg/cli/coverage"
	"github.com/revet-dev/revet/pkg/cli/doctor"
	"github.com/revet-dev/revet/pkg/cli/explain"
	"github.com/revet-dev/revet/pkg/cli/filldatabase"
	"github.com/revet-dev/revet/pkg/cli/gate"
	"github.com/revet-dev/revet/pkg/cli/get"
	"github.com/revet-dev/revet/pkg/cli/pushes"
	"github.com/revet-dev/revet/pkg/cli/replay"
	"github.com/revet-dev/revet/pkg/cli/team"
	"github.com/revet-dev/revet/pkg/cli/verify"
	"github.com/revet-dev/revet/pkg/cli/wait"
	"github.com/revet-dev/revet/pkg/version"
)

// commands are the subcommands, in the order of the help.
var commands = []func(command.Environment) *cobra.Command{
	get.New,
	explain.New,
	replay.New,
	verify.New,
	wait.New,
	gate.New,
	attestation.New,
	coverage.New,
	doctor.New,
	comparesandbox.New,
	filldatabase.New,
	team.New,
	pushes.New,
	completion.New,
}

// Run runs one command line and returns the exit status.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	env := command.Environment{Streams: streams, Now: time.Now, Connect: command.Connect, Unique: command.RandomSuffix}
	return command.Execute(ctx, env, newRoot(env), args)
}

func newRoot(env command.Environment) *cobra.Command {
	root := command.NewRoot(env)
	root.Version = version.String()
	root.Short = "Show what was pushed, and whether it passed verification"
	root.Long = `Show what was pushed, and whether it passed verification.

Revet records every push that an ImageTrigger selects in a ledger of
ImageVerifications, and starts a pipeline that verifies the image. These commands
read the ledger. Four of them change something: replay asks for another run, verify
has a digest verified that nobody pushed, compare-sandbox starts runs of its own, and
fill-database fills the vulnerability database of a namespace. team prints manifests.`
	root.Example = `  # What was pushed to this namespace, and did it pass?
  kubectl revet get

  # Why did this image fail?
  kubectl revet explain demo/app:latest

  # Verify it again
  kubectl revet replay demo/app:latest

  # Verify an image that nobody pushed here
  kubectl revet verify docker.io/library/nginx@sha256:DIGEST --wait

  # Deploy what was built only if it passed
  kubectl revet wait registry.example.com/shop/web@sha256:DIGEST

  # Would this start behind the gates?
  kubectl revet gate test -f deploy.yaml

  # Was this verified, by its signed verdict alone?
  kubectl revet attestation verify registry.example.com/team/app@sha256:DIGEST --key revet.pub

  # Why does nothing happen?
  kubectl revet doctor

  # Did Revet miss any push?
  kubectl revet coverage --verify

  # Runs end in Error because there is no vulnerability database
  kubectl revet fill-database registry.example.com/revet/database:current

  # Several teams: verify this one's images where it cannot change how
  kubectl revet team shop --namespaces shop,shop-api --group shop-developers --ko | ko apply -f -

  # How much does the sandbox cost?
  kubectl revet compare-sandbox demo/app:latest

  # Which pushes do these recorded objects show?
  kubectl get imagestreams -A -o json | kubectl revet pushes -`
	var names []string
	for _, newCommand := range commands {
		c := newCommand(env)
		root.AddCommand(c)
		names = append(names, c.Name())
	}
	// Without this, cobra answers an unknown command with the help and status 0.
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			last := len(names) - 1
			return command.Usagef("there is no command %q; there are %s and %s", args[0], strings.Join(names[:last], ", "), names[last])
		}
		return nil
	}
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return root
}
