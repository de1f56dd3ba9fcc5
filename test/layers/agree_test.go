package layers

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// What any runtime shows a container, Revet reads, or tells that runtimes differ.
// What every runtime shows alike and is as build tools write it gives no alarm.
func TestLayersAgreeWithRuntimes(t *testing.T) {
	all := runtimes(t, os.Getenv(scratch))
	figures := newFigures()
	for i, s := range chosen(t) {
		c := compareStack(t, all, fmt.Sprintf("stack%d", i), s)
		if outcome := figures.add(c); *tell != "" && strings.Contains(outcome, *tell) {
			t.Logf("%s:\n%s", outcome, c)
		}
		for _, complaint := range c.complaints() {
			t.Errorf("%s\n%s", complaint, c)
		}
	}
	t.Log(figures)
}

// The comparison can fail: with the check taken out, it finds the tricks that the
// check is there for.
func TestComparisonFindsWhatTheCheckTells(t *testing.T) {
	all := runtimes(t, os.Getenv(scratch))
	stacks := adversarialStacks()
	for i, name := range []string{
		"root-opaque/1", "root-opaque/2", "root-opaque/3", "root-opaque/14", // at the root a marker hides nothing, or all
		"whiteout-and-entry/1", "whiteout-and-entry/3", "whiteout-and-entry/6", // a directory and its whiteout
		"through-link/2", "through-link/4", "overlay-xattr/1", "order/1", "order/5", "order/7", "order/8",
	} {
		at := slices.IndexFunc(stacks, func(s stack) bool { return s.name == "adversarial/"+name })
		if at < 0 {
			t.Fatalf("there is no stack adversarial/%s", name)
		}
		c := compareStack(t, all, fmt.Sprintf("seen%d", i), stacks[at])
		if len(c.ours.alarms) == 0 {
			t.Errorf("nothing is told of\n%s", c)
		}
		if c.ours.alarms = nil; len(c.complaints()) == 0 {
			t.Errorf("nobody would have seen\n%s", c)
		}
	}
}

// A stack that a failure names can be made again.
func TestRandomStacksAreRepeatable(t *testing.T) {
	different := map[string]bool{}
	for i := range 200 {
		one, two := randomStack(*seed, i), randomStack(*seed, i)
		if diff := cmp.Diff(one.String(), two.String()); diff != "" {
			t.Fatalf("the same seed and number make two stacks (-first +second):\n%s", diff)
		}
		_, entries, _ := strings.Cut(one.String(), "\n")
		different[entries] = true
	}
	if len(different) < 190 {
		t.Errorf("200 stacks are only %d different ones", len(different))
	}
}

// chosen are the stacks that the flags ask for.
func chosen(t *testing.T) []stack {
	t.Helper()
	all := adversarialStacks()
	if *adversarial >= 0 && *adversarial < len(all) {
		all = all[:*adversarial]
	}
	for i := range *random {
		all = append(all, randomStack(*seed, i))
	}
	if *only != "" {
		all = slices.DeleteFunc(all, func(s stack) bool { return s.name != *only })
	}
	if len(all) == 0 {
		t.Fatalf("there is no stack to compare: -random is %d, -adversarial %d, -only %q", *random, *adversarial, *only)
	}
	return all
}

// comparison is of one stack.
type comparison struct {
	stack    stack
	ours     reading
	runtimes []shown
}

// shown is what one runtime shows of a stack.
type shown struct {
	runtime string
	refused error
	differs []difference // in what can be read
	modes   []difference // in the permissions of files
	// aside are what no check reads: devices, pipes, and the permissions of
	// directories, which a runtime makes up where a layer only implies them.
	aside []difference
	took  time.Duration
}

func compareStack(t *testing.T, all []unpacker, id string, s stack) comparison {
	t.Helper()
	stored, err := s.stored()
	if err != nil {
		t.Fatalf("build %s: %v", s, err)
	}
	c := comparison{stack: s, ours: read(t, stored)}
	for _, u := range all {
		begun := time.Now()
		tree, refused, err := u.show(t.Context(), id, stored)
		if err != nil {
			t.Fatalf("%s could not be asked: %v\n%s", u, err, s)
		}
		one := shown{runtime: u.String(), refused: refused, took: time.Since(begun)}
		if refused == nil && c.ours.refused == nil {
			for _, d := range compare(c.ours.tree, tree) {
				switch {
				case d.onlyDevice(), d.onlyMode() && d.shown.kind == "dir":
					one.aside = append(one.aside, d)
				case d.onlyMode():
					one.modes = append(one.modes, d)
				default:
					one.differs = append(one.differs, d)
				}
			}
		}
		c.runtimes = append(c.runtimes, one)
	}
	return c
}

// complaints say what is wrong with how the stack is read.
func (c comparison) complaints() []string {
	var out []string
	if c.ours.refused == nil && len(c.ours.alarms) == 0 {
		for _, r := range c.runtimes {
			if len(r.differs) > 0 {
				out = append(out, fmt.Sprintf("%s shows something else, and nothing is told", r.runtime))
			} else if len(r.modes) > 0 {
				out = append(out, fmt.Sprintf("%s shows other permissions, and nothing is told", r.runtime))
			}
		}
	}
	if c.stack.family() != "tidy" {
		return out
	}
	// A runtime that refuses everything would agree with anything.
	for _, r := range c.runtimes {
		if r.refused != nil {
			out = append(out, fmt.Sprintf("%s refuses what build tools write", r.runtime))
		}
	}
	if c.agreed() && (len(c.ours.alarms) > 0 || c.ours.refused != nil) {
		out = append(out, "a false alarm: all runtimes show what build tools write, and show the same")
	}
	return out
}

// agreed reports whether every runtime shows the stack, and shows what we read.
func (c comparison) agreed() bool {
	for _, r := range c.runtimes {
		if r.refused != nil || len(r.differs) > 0 {
			return false
		}
	}
	return true
}

func (c comparison) refusals() int {
	n := 0
	for _, r := range c.runtimes {
		if r.refused != nil {
			n++
		}
	}
	return n
}

func (c comparison) String() string {
	var out strings.Builder
	out.WriteString(c.stack.String())
	fmt.Fprintf(&out, "  run again with: -seed %d -random %d -only %q\n", *seed, *random, c.stack.name)
	for _, a := range c.ours.alarms {
		fmt.Fprintf(&out, "  told: %s %q: %s\n", a.Kind, a.Path, a.Message)
	}
	if c.ours.refused != nil {
		fmt.Fprintf(&out, "  we refuse: %v\n", c.ours.refused)
	}
	for _, r := range c.runtimes {
		if r.refused != nil {
			fmt.Fprintf(&out, "  %s refuses: %.300v\n", r.runtime, r.refused)
		}
		for i, d := range slices.Concat(r.differs, r.modes, r.aside) {
			if i == 5 {
				out.WriteString("    and more\n")
				break
			}
			fmt.Fprintf(&out, "  %s: %s\n", r.runtime, d)
		}
	}
	return out.String()
}

// figures count what came of the stacks.
type figures struct {
	begun          time.Time
	stacks         int
	outcomes       map[string]int
	byRuntime      map[string]int
	took           map[string]time.Duration
	falseKinds     map[layers.Kind]int
	falseByFamily  map[string]int
	falseExamples  map[layers.Kind]string
	stacksByFamily map[string]int
}

func newFigures() *figures {
	return &figures{begun: time.Now(), outcomes: map[string]int{}, byRuntime: map[string]int{}, took: map[string]time.Duration{},
		falseKinds: map[layers.Kind]int{}, falseByFamily: map[string]int{}, falseExamples: map[layers.Kind]string{}, stacksByFamily: map[string]int{}}
}

func (f *figures) add(c comparison) string {
	f.stacks++
	family := c.stack.family()
	f.stacksByFamily[family]++
	alarm := len(c.ours.alarms) > 0
	refusals := c.refusals()
	differ, unread, modes, aside := false, false, false, false
	for _, r := range c.runtimes {
		f.took[r.runtime] += r.took
		if r.refused != nil {
			f.byRuntime[r.runtime+" refuses"]++
		}
		if len(r.differs) > 0 {
			f.byRuntime[r.runtime+" differs"]++
		}
		differ = differ || len(r.differs) > 0
		modes = modes || len(r.modes) > 0
		aside = aside || len(r.aside) > 0
		unread = unread || slices.ContainsFunc(r.differs, difference.unread)
	}
	outcome := ""
	switch {
	case c.ours.refused != nil && refusals == len(c.runtimes):
		outcome = "refused by all and by us"
	case c.ours.refused != nil:
		outcome = "refused by us (an Error), shown by a runtime"
	case refusals == len(c.runtimes) && alarm:
		outcome = "refused by all, told"
	case refusals == len(c.runtimes):
		outcome = "refused by all, not told"
	case unread && !alarm, differ && !alarm:
		outcome = "MISS"
	case modes && !alarm:
		outcome = "MISS of permissions"
	case unread:
		outcome = "a file is shown that we do not read, told"
	case differ:
		outcome = "differ otherwise, told"
	case aside && alarm:
		outcome = "differ in devices or permissions of directories only, told"
	case aside:
		outcome = "differ in devices or permissions of directories only, not told"
	case refusals > 0 && alarm:
		outcome = "the others agree, some refuse, told"
	case refusals > 0:
		outcome = "the others agree, some refuse, not told"
	case alarm:
		outcome = "FALSE ALARM: all agree, told"
		f.falseByFamily[family]++
		for _, a := range c.ours.alarms {
			f.falseKinds[a.Kind]++
			if f.falseExamples[a.Kind] == "" {
				f.falseExamples[a.Kind] = c.stack.name
			}
		}
	default:
		outcome = "all agree, nothing told"
	}
	f.outcomes[outcome]++
	return outcome
}

// family is what the stack is one of: a sort of random ones, or a kind of trick.
func (s stack) family() string {
	if _, sort, ok := strings.Cut(s.name, "-"); ok && strings.HasPrefix(s.name, "random/") {
		return sort
	}
	return "adversarial"
}

func (f *figures) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d stacks in %s: %v\n", f.stacks, time.Since(f.begun).Round(time.Second), f.stacksByFamily)
	for _, k := range slices.Sorted(maps.Keys(f.outcomes)) {
		fmt.Fprintf(&out, "  %6d %s\n", f.outcomes[k], k)
	}
	for _, k := range slices.Sorted(maps.Keys(f.byRuntime)) {
		fmt.Fprintf(&out, "  %6d %s\n", f.byRuntime[k], k)
	}
	for _, k := range slices.Sorted(maps.Keys(f.took)) {
		fmt.Fprintf(&out, "  %6s %s took\n", f.took[k].Round(time.Second), k)
	}
	fmt.Fprintf(&out, "  false alarms by sort %v\n", f.falseByFamily)
	for _, k := range slices.Sorted(maps.Keys(f.falseKinds)) {
		fmt.Fprintf(&out, "  %6d false alarms of the kind %s, as %s\n", f.falseKinds[k], k, f.falseExamples[k])
	}
	return out.String()
}
