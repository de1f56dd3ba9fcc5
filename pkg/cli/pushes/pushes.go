package pushes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/push"
)

// pushLine is one line of the output.
type pushLine struct {
	Step       string      `json:"step"`
	Repository string      `json:"repository"`
	Tag        string      `json:"tag"`
	Digest     string      `json:"digest"`
	PushedAt   string      `json:"pushedAt"`
	Reason     push.Reason `json:"reason"`
}

// New returns the command pushes.
func New(env command.Environment) *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "pushes FILE...",
		Short: "Print the pushes that recorded objects and events show",
		Long: `Print the pushes that recorded objects and events show, one JSON line each:

  {"step","repository","tag","digest","pushedAt","reason"}

The reason is NewHead if the tag is new or its head moved. It is History for an item
below the head that no earlier input showed. pushedAt is the creation time of the item.
step is the name of the recorded step, or the base name of the file.

A FILE holds one or more of the following as JSON or YAML. - is standard input.
  - ImageStreams and Images (image.openshift.io/v1), alone or in a List
  - watch events, as "kubectl get --watch --output-watch-events -o json" prints
  - CloudEvents of an ApiServerSource, structured, alone or in a batch
  - recorded steps: {"step", "events": [watch events]}

The command reads the inputs in order, and compares each with the earlier ones. It uses
the code that the receiver uses, and reads nothing from a cluster.

If an Image object shows something that cannot run, such as a signature, the command
skips its pushes; put Images first or into the same input. The receiver trusts no such
object, since anybody may write one: it asks the registry.`,
		Example: `  # Print the pushes that all streams of a cluster show
  kubectl get images -o json > images.json
  kubectl get imagestreams -A -o json | kubectl revet pushes images.json -

  # Print pushes while they happen
  kubectl get imagestreams -A --watch --output-watch-events -o json | kubectl revet pushes -

  # Print the pushes of recorded events, and why other changes are none
  kubectl revet pushes --verbose 01-first-push.json 02-label.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return command.Usagef("at least one FILE is required; - is standard input")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error {
			return printPushes(env, files, verbose)
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print on standard error what was skipped, and why")
	return c
}

func printPushes(env command.Environment, files []string, verbose bool) error {
	out := json.NewEncoder(env.Streams.Out)
	out.SetEscapeHTML(false)
	d := detector{}
	for _, file := range files {
		emit := func(in input) error {
			for _, s := range in.notes {
				if verbose {
					fmt.Fprintf(env.Streams.ErrOut, "%s: skipped: %s\n", file, s)
				}
			}
			result := d.detect(in.changes)
			for _, s := range result.Skips {
				if verbose {
					fmt.Fprintf(env.Streams.ErrOut, "%s: skipped: %s tag %q: %s\n", file, s.Repository.Name, s.Tag, s.Reason)
				}
			}
			for _, p := range result.Pushes {
				if err := out.Encode(newPushLine(in.step, file, p)); err != nil {
					return err
				}
			}
			return nil
		}
		if err := readFile(env.Streams.In, file, emit); err != nil {
			return err
		}
	}
	return nil
}

func newPushLine(step, file string, p push.Push) pushLine {
	if step == "" {
		step = filepath.Base(file)
	}
	return pushLine{
		Step:       step,
		Repository: p.Repository.Name,
		Tag:        p.Tag,
		Digest:     p.Digest.String(),
		PushedAt:   p.PushedAt.Format(time.RFC3339),
		Reason:     p.Reason,
	}
}

// readFile reads a file, or standard input for "-".
func readFile(stdin io.Reader, file string, emit func(input) error) error {
	if file == "-" {
		return readInputs("standard input", stdin, emit)
	}
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return fmt.Errorf("%s: %w", file, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("%s: is a directory; name its files in the order to read them", file)
	}
	return readInputs(file, f, emit)
}
