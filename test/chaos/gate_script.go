package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// The triggers of the play gate, each in a namespace of its own. The gate trusts the first two.
const (
	strictTrigger   = "strict"
	laxTrigger      = "lax"
	strangerTrigger = "stranger"
)

// isTrusted reports whether the gate of the play trusts a trigger.
func isTrusted(trigger string) bool { return trigger == strictTrigger || trigger == laxTrigger }

// gateNamespace is where a trigger of the play and its entries are.
func gateNamespace(trigger string) string { return "vet-" + trigger }

// What the gate of the play asks of a verdict.
const (
	gatePlatform = "linux/amd64"
	gateOther    = "linux/arm64" // and this is another platform
	gateCheck    = "scan"
	gateMaxAge   = time.Hour
)

// flaw is why a pass does not count for the gate. The zero value is none.
type flaw string

const (
	otherPlatform flaw = "platform"
	notSandboxed  flaw = "sandbox"
	checkOff      flaw = "check"
)

// habit is how the runs of an entry end.
type habit string

const (
	turning habit = "turning" // pass and fail in turn, mostly
	failing habit = "failing" // never pass
	lenient habit = "lenient" // mostly pass
	flawed  habit = "flawed"  // pass, and never count
	aged    habit = "aged"    // pass or fail; a pass is so old that it expires during the play
)

// gateKinds are the kinds of images: which entries there are of one, and their habits.
var gateKinds = []struct {
	weighted
	entries map[string]habit // by trigger
	index   bool
}{
	{weighted{"alone", 40}, map[string]habit{strictTrigger: turning}, false},
	{weighted{"shared", 25}, map[string]habit{strictTrigger: turning, laxTrigger: turning}, false},
	{weighted{"contested", 6}, map[string]habit{strictTrigger: failing, laxTrigger: lenient}, false},
	{weighted{"foreign", 6}, map[string]habit{strangerTrigger: lenient}, false},
	{weighted{"beside", 6}, map[string]habit{laxTrigger: turning, strangerTrigger: failing}, false},
	{weighted{"bad", 5}, map[string]habit{strictTrigger: failing}, false},
	{weighted{"flawed", 4}, map[string]habit{strictTrigger: flawed}, false},
	{weighted{"aged", 8}, map[string]habit{strictTrigger: aged}, false},
	{weighted{"index", 8}, map[string]habit{strictTrigger: turning}, true},
}

// gateTurn is one run of an entry, as it ends.
type gateTurn struct {
	at time.Duration // since the beginning, at the earliest
	// length is how long the run takes.
	length  time.Duration
	outcome v1alpha1.Outcome
	flaw    flaw
	// age is how old the verdict is when it is written.
	age time.Duration
	// push is the number of the push that the run is for, counted over all; 0 if it is for none.
	push int
}

// counts reports whether the turn is a pass that the gate should go by.
func (t gateTurn) counts() bool { return t.outcome == v1alpha1.OutcomePass && t.flaw == "" }

// gateEntry is one entry of the ledger, and what becomes of it.
type gateEntry struct {
	name, trigger, repository, tag, digest string
	children                               []v1alpha1.ChildImage
	habit                                  habit
	turns                                  []gateTurn
}

// gateScript is what happens to the ledger, and the digests that are tried.
type gateScript struct {
	entries []*gateEntry
	// digests are all that are tried; those of no entry are among them.
	digests []string
	// running are those of Pods that run in the gated namespace.
	running []string
	// verdicts counts the passes and failures, and errors the runs without a verdict.
	verdicts, errors int
}

// The shape of a script.
const (
	changesOfImage = 5 // passes and failures of each image, in the mean
	imagesOfStream = 4 // images that share a repository for each trigger, and its two tags
	unknownDigests = 5
	percentErrors  = 13
	percentPushes  = 25
	percentFlaws   = 4
	percentFlips   = 80
	percentFirst   = 75 // of first verdicts that pass
	runningOfKind  = 2
)

// gateScriptOf returns the script of a seed with a number of passes and failures. The runs
// of an entry come one after another.
func gateScriptOf(seed uint64, s Shape) *gateScript {
	w := &gateWriter{random: source(seed, gateSource), seed: seed, script: &gateScript{}}
	for n := range max(2*len(gateKinds), s.Pushes/changesOfImage) {
		w.image(n)
	}
	for n := range unknownDigests {
		w.script.digests = append(w.script.digests, w.digest(fmt.Sprint("unknown ", n)))
	}
	for at := time.Duration(0); w.script.verdicts < s.Pushes; {
		w.turn(at)
		at += time.Duration(w.random.ExpFloat64() / s.Rate * float64(time.Second))
	}
	return w.script
}

// gateSource is the source of this script. See source.
const gateSource = 3

type gateWriter struct {
	random *rand.Rand
	seed   uint64
	script *gateScript
	pushes int
}

func (w *gateWriter) digest(what string) string {
	return rig.DigestOf(fmt.Sprintf("seed %d gate %s", w.seed, what))
}

// image makes an image with its entries. Of each kind there are some.
func (w *gateWriter) image(n int) {
	kind := gateKinds[n%len(gateKinds)]
	if n >= 2*len(gateKinds) {
		var all []weighted
		for i := range gateKinds {
			all = append(all, weighted{fmt.Sprint(i), gateKinds[i].weight})
		}
		var drawn int
		_, _ = fmt.Sscan(drawOf(w.random, all), &drawn) // it is a number of above
		kind = gateKinds[drawn]
	}
	digest := w.digest(fmt.Sprint("image ", n))
	w.script.digests = append(w.script.digests, digest)
	var children []v1alpha1.ChildImage
	if kind.index {
		children = []v1alpha1.ChildImage{
			{Digest: w.digest(fmt.Sprint("child ", n)), Platform: gatePlatform},
			{Digest: w.digest(fmt.Sprint("other child ", n)), Platform: gateOther},
		}
		w.script.digests = append(w.script.digests, children[0].Digest, children[1].Digest)
	}
	if n < runningOfKind*len(gateKinds) {
		w.script.running = append(w.script.running, digest)
	}
	tag := tagName(w.random.IntN(2))
	for _, trigger := range []string{strictTrigger, laxTrigger, strangerTrigger} {
		if h, ok := kind.entries[trigger]; ok {
			w.script.entries = append(w.script.entries, &gateEntry{
				name: fmt.Sprintf("%s-%d", kind.name, n), trigger: trigger, tag: tag,
				digest: digest, children: children, habit: h,
				repository: fmt.Sprintf("r.example.com/%s/app-%d", trigger, n/imagesOfStream),
			})
		}
	}
}

// turn ends a run of some entry.
func (w *gateWriter) turn(at time.Duration) {
	e := w.script.entries[w.random.IntN(len(w.script.entries))]
	t := gateTurn{at: at, length: shortestRun + time.Duration(w.random.Int64N(int64(longestRun-shortestRun)))}
	w.end(e, &t)
	if len(e.turns) == 0 || w.random.IntN(100) < percentPushes {
		w.pushes++
		t.push = w.pushes
	}
	if t.outcome == v1alpha1.OutcomeError {
		w.script.errors++
	} else {
		w.script.verdicts++
	}
	e.turns = append(e.turns, t)
}

// end says how a run of an entry ends.
func (w *gateWriter) end(e *gateEntry, t *gateTurn) {
	if w.random.IntN(100) < percentErrors {
		t.outcome = v1alpha1.OutcomeError
		return
	}
	t.outcome = v1alpha1.OutcomePass
	switch e.habit {
	case failing:
		t.outcome = v1alpha1.OutcomeFail
	case flawed:
		t.flaw = []flaw{otherPlatform, notSandboxed, checkOff}[w.random.IntN(3)]
	case lenient:
		if w.random.IntN(100) >= percentFlips {
			t.outcome = v1alpha1.OutcomeFail
		}
	default:
		t.outcome = w.turned(e)
	}
	if t.outcome != v1alpha1.OutcomePass {
		return
	}
	if e.habit == aged {
		t.age = gateMaxAge - 30*time.Second - time.Duration(w.random.IntN(240))*time.Second
	}
	if e.habit == turning && w.random.IntN(100) < percentFlaws {
		t.flaw = otherPlatform
	}
}

// turned is the outcome that the last verdict of the entry was not, mostly.
func (w *gateWriter) turned(e *gateEntry) v1alpha1.Outcome {
	last := e.last()
	draw := w.random.IntN(100)
	passes := last != v1alpha1.OutcomePass
	if last == "" {
		passes = draw < percentFirst
	} else if draw >= percentFlips {
		passes = !passes
	}
	if passes {
		return v1alpha1.OutcomePass
	}
	return v1alpha1.OutcomeFail
}

// last is the verdict that the script leaves the entry with so far, or empty.
func (e *gateEntry) last() v1alpha1.Outcome {
	for i := len(e.turns) - 1; i >= 0; i-- {
		if e.turns[i].outcome != v1alpha1.OutcomeError {
			return e.turns[i].outcome
		}
	}
	return ""
}

// tags are the references to the tags of all entries, and to one that nobody pushed.
func (s *gateScript) tags() []string {
	known := map[string]bool{"r.example.com/nobody:v1": true}
	for _, e := range s.entries {
		known[e.repository+":"+e.tag] = true
	}
	return keysOf(maps.Keys(known))
}
