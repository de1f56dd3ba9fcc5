package stepcmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/signature"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

// StepSBOM is the name under which the step that writes the inventory says what it decided by. The
// other steps of a layout say so under the name of their check.
const StepSBOM = "sbom"

// selfFlag names the image of the step. No step can find out what image it runs in, so the Task
// says so.
const selfFlag = "self"

// Self returns the image that the flag --self names and the version of the program.
func Self(cmd *cobra.Command) string {
	image, err := cmd.Flags().GetString(selfFlag)
	if err != nil {
		image = "" // the flag is not declared: the program runs in no Task
	}
	return strings.TrimSpace(image + " " + cmd.Root().Version)
}

// Decided returns the parts that every step decides by: its image and version, as self, and its
// parameters, as the user gave them.
func Decided(step, self string, parameters map[string]string) result.Parts {
	parts := result.Parts{result.PartSteps: result.PartOf(map[string]string{step: self})}
	if len(parameters) > 0 {
		parts[result.PartParameters] = result.PartOf(parameters)
	}
	return parts
}

// decidedBy returns what the steps of the layout in dir decided by, by their names, for the checks
// that reported and for the inventory. It returns nil if one of them does not say so, and prints
// which: a digest over the others would not change with what that one decides by.
func decidedBy(out io.Writer, dir string, reports []result.Report) (map[string]result.Parts, error) {
	var steps []string
	inventory := false
	for _, r := range reports {
		steps = append(steps, r.Check)
		inventory = inventory || !r.Inventory.IsZero()
	}
	if inventory {
		steps = append(steps, StepSBOM)
	}
	all := map[string]result.Parts{}
	for _, step := range steps {
		parts, err := result.ReadParts(dir, step)
		if errors.Is(err, result.ErrUndecided) {
			fmt.Fprintf(out, "warning: %s; the verdict will have no policy digest\n", result.Line(err.Error()))
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all[step] = parts
	}
	return all, nil
}

// decidedRules returns what the step validate decides by.
func decidedRules(self string, rules []byte) result.Parts {
	parts := Decided(validate.CheckName, self, nil)
	parts[result.PartRules] = result.PartOf(map[string]string{"rules": string(rules)})
	return parts
}

// decidedKeys returns what the step signature decides by.
func decidedKeys(self string, policy signature.Policy, keys []signature.Key) (result.Parts, error) {
	parts := Decided(signature.CheckName, self, map[string]string{"signature": string(policy)})
	var err error
	parts[result.PartKeys], err = signature.Part(keys)
	return parts, err
}
