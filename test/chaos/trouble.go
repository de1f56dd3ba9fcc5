package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The cases of [Trouble]: what is broken on the way from a request to its run.
const (
	// Listener deletes the EventListener, and ends its sink as the Deployment goes with it.
	Listener = "listener"
	// Rights deletes the RoleBinding of the listener's account.
	Rights = "rights"
	// Template has the TriggerTemplate name its PipelineRun otherwise than after the run.
	Template = "template"
	// Binding has the TriggerBinding read a field that no request has.
	Binding = "binding"
	// Class deletes the RuntimeClass.
	Class = "class"
)

// troubleCases are what can be broken, in the order in which it is, with the reason that has to be told.
var troubleCases = []struct{ name, reason string }{
	{Listener, "SinkNotFound"}, {Rights, "RunsNotAllowed"}, {Template, "NameNotRun"}, {Binding, "ParamUnresolved"}, {Class, "RuntimeClassNotFound"},
}

// parseCases reads a list of cases, or "all".
func parseCases(list string) (names []string, err error) {
	for _, c := range troubleCases {
		names = append(names, c.name)
	}
	if list == "all" || list == "" {
		return names, nil
	}
	only := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("chaos: no case is called %q; say all, or some of %q", name, names)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(only, name) }), nil
}

// said is what a trigger or an entry says at a moment.
type said struct{ Reason, Message string }

// told is what was seen to be said while something was broken.
type told struct {
	reason string
	broken time.Time
	// triggerAfter and entryAfter are when the reason was said first, since the break.
	triggerAfter, entryAfter time.Duration
	trigger, entry           said
	// others are what the trigger said of itself instead, and entries in the end.
	others []string
	// waited are the entries that waited when it was mended, and whether each said the reason at some time.
	waited map[string]bool
	saying map[string]bool
}

func newTold(reason string, broken time.Time) *told {
	return &told{reason: reason, broken: broken, saying: map[string]bool{}}
}

// triggerSays takes what the trigger's condition Ready says while it is False.
func (t *told) triggerSays(s said, now time.Time) {
	switch {
	case s.Reason != t.reason:
		t.other("the trigger said " + s.Reason)
	case t.trigger == said{}:
		t.trigger, t.triggerAfter = s, now.Sub(t.broken)
	}
}

// entrySays takes what an entry says that has no end and no run to be seen.
func (t *told) entrySays(name string, s said, now time.Time) {
	if s.Reason != t.reason || s.Message == "" {
		return
	}
	if len(t.saying) == 0 {
		t.entry, t.entryAfter = s, now.Sub(t.broken)
	}
	t.saying[name] = true
}

// ends takes the entries that wait when it is about to be mended.
func (t *told) ends(waiting map[string]said) {
	t.waited = map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(waiting)) {
		t.waited[name] = t.saying[name]
		if s := waiting[name]; s.Reason != t.reason {
			t.other(fmt.Sprintf("entry %s said %q when it was mended", name, s.Reason))
		}
	}
}

func (t *told) other(what string) {
	if !slices.Contains(t.others, what) {
		t.others = append(t.others, what)
	}
}

func (t *told) said() (number int) {
	for _, says := range t.waited {
		if says {
			number++
		}
	}
	return number
}

// TroubleResult is what became of one case.
type TroubleResult struct {
	Case string
	// Broken is for how long it was.
	Broken time.Duration
	// Settle is from the mending, or the last push if that was later, until nothing of the case's pushes was under way.
	Settle  time.Duration
	Settled bool
	// Restarted are programs of Revet whose process is another than before.
	Restarted []string
	// Account is that of the case's pushes alone.
	Account Account
	told    *told
	digests map[string]bool
}

// Faults are what is not as promised.
func (r TroubleResult) Faults() []string {
	all := slices.Concat(r.told.others, r.Account.Faults())
	if r.told.trigger == (said{}) {
		all = append(all, "the trigger never said "+r.told.reason)
	}
	if len(r.told.waited) == 0 {
		all = append(all, "no entry waited: nothing was put to the test")
	}
	for _, name := range slices.Sorted(maps.Keys(r.told.waited)) {
		if !r.told.waited[name] {
			all = append(all, fmt.Sprintf("entry %s waited and never said %s", name, r.told.reason))
		}
	}
	if !r.Settled {
		all = append(all, fmt.Sprintf("it had not settled %.0f s after the mending", r.Settle.Seconds()))
	}
	for _, name := range r.Restarted {
		all = append(all, name+" was restarted")
	}
	return all
}

// of is what was observed of some digests alone.
func (o observed) of(digests map[string]bool) observed {
	keep := func(list []acknowledged) (kept []acknowledged) {
		for _, a := range list {
			if digests[a.Digest] {
				kept = append(kept, a)
			}
		}
		return kept
	}
	out := observed{Pushed: keep(o.Pushed), Items: keep(o.Items)}
	for _, e := range o.Entries {
		if digests[e.Digest] {
			out.Entries = append(out.Entries, e)
		}
	}
	for _, r := range o.Runs {
		if digests[r.Digest] {
			out.Runs = append(out.Runs, r)
		}
	}
	return out
}

// troubleTable prints one line for each case, and what is wrong below it.
func troubleTable(out io.Writer, seed uint64, results []TroubleResult) {
	if len(results) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "\ncase\tpushes\tbroken for\tthe trigger said\tafter\tentries that said it\tthe first after\tcovered\tlost\tdoubled\trepeats\tsettled after\t")
	for _, r := range results {
		a := r.Account
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.0f s\t%s\t%.1f s\t%d of %d\t%.1f s\t%d of %d\t%d\t%d\t%d\t%.1f s\t\n", r.Case, a.Pushes, r.Broken.Seconds(),
			r.told.trigger.Reason, r.told.triggerAfter.Seconds(), r.told.said(), len(r.told.waited), r.told.entryAfter.Seconds(),
			a.Covered, a.Digests, len(a.Lost), len(a.Doubled), a.Repeats, r.Settle.Seconds())
	}
	_ = t.Flush() // out has been written to
	for _, r := range results {
		_, _ = fmt.Fprintf(out, "seed %d: %s: the trigger: %s\nseed %d: %s: an entry: %s\n", seed, r.Case, r.told.trigger.Message, seed, r.Case, r.told.entry.Message)
		if len(r.Account.States) > 1 { // the stand-in lets everything pass
			_, _ = fmt.Fprintf(out, "seed %d: %s: not all entries passed: %v\n", seed, r.Case, states(r.Account))
		}
		for _, fault := range r.Faults() {
			_, _ = fmt.Fprintf(out, "seed %d: %s: NOT AS PROMISED: %s\n", seed, r.Case, fault)
		}
	}
}
