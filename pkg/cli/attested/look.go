package attested

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// AddFlag adds the flag that names Revet's namespace.
func AddFlag(flags *pflag.FlagSet, system *string) {
	flags.StringVar(system, "system-namespace", "revet-system", "namespace that Revet is installed in")
}

// Look is all that could be read about the signed verdicts of some entries.
type Look struct {
	*World

	triggers map[client.ObjectKey]*v1alpha1.ImageTrigger
	err      error // why the triggers are not known
}

// At reads what decides about entries of a namespace, or of all for "". It reads no more than the
// triggers where neither a trigger asks for signed verdicts nor an entry has some.
func At(ctx context.Context, c command.Cluster, namespace, system string, now time.Time, entries []v1alpha1.ImageVerification) Look {
	l := Look{World: &World{System: system, Now: now}, triggers: map[client.ObjectKey]*v1alpha1.ImageTrigger{}}
	var all v1alpha1.ImageTriggerList
	if err := c.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		l.err = notRead("the ImageTriggers "+command.Where(namespace), err)
	}
	for i := range all.Items {
		l.triggers[client.ObjectKeyFromObject(&all.Items[i])] = &all.Items[i]
	}
	if slices.ContainsFunc(entries, l.concerned) {
		l.World = Read(ctx, c, system, now)
	}
	return l
}

func (l Look) concerned(e v1alpha1.ImageVerification) bool {
	t := l.trigger(&e)
	return len(e.Status.Attestations) > 0 || t.ImageTrigger != nil && t.Spec.Attest != nil
}

func (l Look) trigger(e *v1alpha1.ImageVerification) Trigger {
	return Trigger{l.triggers[client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}], l.err}
}

// Of returns the records of an entry, and why its newest verdict has none.
func (l Look) Of(e *v1alpha1.ImageVerification) ([]Record, Standing) {
	return l.Records(e), l.Standing(e, l.trigger(e))
}

// Word says in a word or two where an entry stands; "" if there is nothing to sign.
func (l Look) Word(e *v1alpha1.ImageVerification) string { return l.Cell(e, l.trigger(e)) }

// Keys are the ids of the keys that signed what an entry has.
func Keys(e *v1alpha1.ImageVerification) []string {
	var ids []string
	for i := range e.Status.Attestations {
		if id := e.Status.Attestations[i].Key; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// String says a standing in a line.
func (s Standing) String() string { return fmt.Sprintf("%s: %s", s.Reason, s.Message) }
