package wait

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// result is one image of the output in JSON and YAML.
type result struct {
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// Revision is what the image was found by; empty if by its digest.
	Revision string `json:"revision,omitempty"`
	// Verdicts are those that passed it.
	Verdicts []resultVerdict `json:"verdicts"`
}

type resultVerdict struct {
	Namespace string `json:"namespace"`
	Trigger   string `json:"trigger"`
	Entry     string `json:"entry"`
	Run       string `json:"run"`
	// At is when the run finished, in RFC 3339.
	At string `json:"at"`
}

// print prints the images, all of which passed.
func (w *waiter) print() error {
	out := w.env.Streams.Out
	var all []result
	for i := range w.images {
		switch w.output {
		case "":
			fmt.Fprintf(out, "%s passed\n", w.name(i))
		case "digests":
			fmt.Fprintln(out, w.states[i].digest)
		default:
			all = append(all, w.result(i))
		}
	}
	if all == nil {
		return nil
	}
	return command.PrintValue(out, w.output, all)
}

func (w *waiter) result(i int) result {
	r := result{Image: w.images[i].arg, Digest: w.states[i].digest}
	if w.images[i].repository != "" {
		r.Revision = w.revision
	}
	for j := range w.states[i].entries {
		e := &w.states[i].entries[j]
		v := e.Status.Verdict
		r.Verdicts = append(r.Verdicts, resultVerdict{
			Namespace: e.Namespace, Trigger: e.Spec.Trigger.Name, Entry: e.Name, Run: v.Run, At: v.At.UTC().Format("2006-01-02T15:04:05Z"),
		})
	}
	return r
}
