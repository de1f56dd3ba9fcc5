package model_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
	"github.com/revet-dev/revet/pkg/sweep"
)

// A registry shows what a tag points to now, and no history and no times. So the
// promise is smaller, and has a model of its own: after a look by a process that
// knows the ledger, the ledger's newest push of the tag is of the digest that the
// registry shows.

const hubHost = "hub.example"

var hubTags = []string{"v1", "latest", "v2", "edge"}

var errRegistryAway = errors.New("the registry does not answer")

// hub is a registry, two receivers that it notifies, and a controller that sweeps.
type hub struct {
	storage *storage
	second  int
	tags    map[string]int // "repository:tag": digest
	ever    map[string]bool
	away    bool
	pending []webhook.Hint
	past    []webhook.Hint
	trigger *v1alpha1.ImageTrigger
	// views are the receivers' and, at last, the controller's.
	views   []*watch
	intakes []*intake.Intake
	sweeper *sweep.Sweeper
	done    chan struct{}
	stop    func()
	// heads counts what the registry was asked in this step.
	heads map[string]int
	// busy is the receiver that handles a notification, or -1; intruded tells that
	// the registry changed while somebody wrote.
	busy     int
	intruded bool
	trace    []string
	failure  string
}

func newHub(b ledger.Bounds) *hub {
	h := &hub{storage: newStorage(b), tags: map[string]int{}, ever: map[string]bool{}, heads: map[string]int{}, busy: -1, done: make(chan struct{}, 4)}
	h.trigger = &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all", UID: "trigger-all", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{Repository: hubHost + "/**"}}},
	}
	for i := range 2 {
		h.views, h.intakes = append(h.views, nil), append(h.intakes, nil)
		h.restart(i)
	}
	h.views = append(h.views, nil)
	h.restart(2)
	return h
}

func (h *hub) now() time.Time { return at(h.second) }

// restart makes a process anew; process 2 is the controller.
func (h *hub) restart(i int) {
	if h.views[i] != nil {
		h.storage.unwatch(h.views[i])
	}
	h.views[i] = h.storage.watch(h.now)
	l := sabotage{bounds: h.storage.bounds}.ledger(h.storage, h.views[i].index)
	if i < 2 {
		triggers := intake.NewTriggers(func(_ *v1alpha1.ImageTrigger, err error) { panic(err) })
		triggers.Handler().OnAdd(h.trigger, true)
		h.intakes[i] = intake.New(intake.Dependencies{
			Triggers: triggers, Registry: hubRegistry{h}, Ledger: l, Metrics: intakeMetrics, Log: zap.NewNop(), Now: h.now, RegistryTimeout: time.Second, RecordConcurrency: 1,
			Sleep: func(context.Context, time.Duration) error { return nil },
		})
		return
	}
	if h.stop != nil {
		h.stop()
	}
	h.sweeper, h.stop = startSweeper(sweep.Dependencies{
		Cluster: &sweeper{world: &world{}}, Images: &sweeper{}, Registry: hubRegistry{h}, Ledger: l, Examiner: sweep.Ignore{}, Metrics: sweepMetrics,
		Log: zap.NewNop(), Now: h.now, Done: func(types.NamespacedName) { h.done <- struct{}{} },
	})
}

func (h *hub) head(r image.Repository, tag string) (image.Digest, error) {
	if h.away {
		return image.Digest{}, errRegistryAway
	}
	name := r.Path() + ":" + tag
	h.heads[name]++
	n, ok := h.tags[name]
	if !ok {
		return image.Digest{}, &source.Refusal{Reason: source.NotFound, Err: errors.New("no such tag")}
	}
	return image.ParseDigest(digestOf(n))
}

// hubRegistry is the hub as receivers and sweeps read it.
type hubRegistry struct{ *hub }

func (s hubRegistry) Repositories(_ context.Context, _ string, _ source.Account, each func(image.Repository)) error {
	if s.away {
		return errRegistryAway
	}
	var seen []string
	for _, name := range slices.Sorted(maps.Keys(s.tags)) {
		path, _, _ := strings.Cut(name, ":")
		if !slices.Contains(seen, path) {
			seen = append(seen, path)
			each(repositoryOf(path))
		}
	}
	return nil
}

func (s hubRegistry) Tags(_ context.Context, r image.Repository, _ source.Account, each func(string)) error {
	if s.away {
		return errRegistryAway
	}
	for _, name := range slices.Sorted(maps.Keys(s.tags)) {
		if path, tag, _ := strings.Cut(name, ":"); path == r.Path() {
			each(tag)
		}
	}
	return nil
}

func (s hubRegistry) Head(_ context.Context, r image.Repository, tag string, _ source.Account) (image.Digest, error) {
	return s.head(r, tag)
}

func (s hubRegistry) Tagged(ctx context.Context, r image.Repository, tag string, _ image.Digest, as source.Account) (image.Digest, error) {
	return s.Head(ctx, r, tag, as)
}

func (s hubRegistry) Content(_ context.Context, ref image.Reference, _ source.Account) (image.Content, error) {
	return content(ref.Digest()), nil
}

func repositoryOf(path string) image.Repository {
	r, err := image.ParseRepository(hubHost + "/" + path)
	must(err)
	return r
}

// newest is the digest of the ledger's newest push of a tag; ties count as none.
func (h *hub) newest(name string) (digest string) {
	path, tag, _ := strings.Cut(name, ":")
	var sequence int64
	for _, e := range h.storage.entries {
		if e.Spec.Repository.Name != hubHost+"/"+path {
			continue
		}
		t, told := e.TagOf(tag)
		switch {
		case !told || t.Sequence < sequence:
		case t.Sequence == sequence:
			digest = ""
		default:
			sequence, digest = t.Sequence, e.Spec.Digest
		}
	}
	return digest
}

// forgot reports whether the ledger says that it does not know whether it has a push.
func (h *hub) forgot(name string, digest int) bool {
	path, tag, _ := strings.Cut(name, ":")
	for _, e := range h.storage.entries {
		if e.Spec.Repository.Name != hubHost+"/"+path || e.Spec.Digest != digestOf(digest) {
			continue
		}
		_, told := e.TagOf(tag)
		_, forgot := e.Status.MoreTags.ForgetsThrough()
		return forgot && !told
	}
	return false
}

// settled holds the tags that were looked at to the model.
func (h *hub) settled(who string, names []string) {
	for _, name := range names {
		n, ok := h.tags[name]
		if ok && n != artefact && h.newest(name) != digestOf(n) && !h.forgot(name, n) {
			h.fail("%s looked at %s, which is digest %d, and the ledger's newest is %q", who, name, n, h.newest(name))
		}
	}
}

func (h *hub) fail(format string, args ...any) {
	if h.failure == "" {
		h.failure = fmt.Sprintf(format, args...)
	}
}

func (h *hub) tell(format string, args ...any) {
	h.trace = append(h.trace, fmt.Sprintf("%4ds  %s", h.second, fmt.Sprintf(format, args...)))
}

// invented reports a record of what no tag ever pointed to, or of what cannot run.
func (h *hub) invented() {
	if h.storage.violation != "" {
		h.fail("%s", h.storage.violation)
	}
	for _, e := range h.storage.entries {
		known := 0
		for _, tag := range hubTags {
			if _, told := e.TagOf(tag); !told {
				continue
			}
			known++
			what := strings.TrimPrefix(e.Spec.Repository.Name, hubHost+"/") + ":" + tag + "@" + e.Spec.Digest
			if !h.ever[what] || e.Spec.Digest == digestOf(artefact) {
				h.fail("%s was recorded", what)
			}
		}
		if all := len(e.Tags()) + len(e.Status.MoreTags.Unpack()); all != known {
			h.fail("the entry %s tells of %d tags, of which %d exist", e.Name, all, known)
		}
	}
}

// The kinds of steps. Their numbers are taken modulo what there is.
const (
	hubPush   kind = iota // to repository a, tag b: digest c
	hubDelete             // repository a, tag b
	hubNotify             // receiver a of hint b
	hubLose               // hint b
	hubRepeat             // receiver a of past hint b
	hubSweep
	hubRestart // process a
	hubCatchUp // process a: b events
	hubPass    // a seconds
	hubPace    // a: fast or slow
	hubFail    // the next write, a: how
	hubAway    // a: whether
	hubIntrude // before the next write: a push like hubPush, of which receiver a is notified
	hubKinds
)

var hubDeck = []kind{
	hubPush, hubPush, hubPush, hubPush, hubPush, hubPush, hubDelete, hubNotify, hubNotify, hubNotify, hubNotify, hubLose, hubRepeat, hubRepeat,
	hubSweep, hubSweep, hubRestart, hubCatchUp, hubCatchUp, hubPass, hubPace, hubFail, hubAway, hubIntrude,
}

func (h *hub) do(o op) {
	path, _ := pick([]string{"team/app", "team/web"}, o.a)
	tag, _ := pick(hubTags, o.b)
	name := path + ":" + tag
	process := int(o.a) % len(h.views)
	switch o.kind {
	case hubPush:
		n := 1 + int(o.c)%digests
		d, err := image.ParseDigest(digestOf(n))
		must(err)
		h.tags[name], h.ever[name+"@"+d.String()] = n, true
		h.pending = append(h.pending, webhook.Hint{ClaimedPath: path, Tag: tag, ClaimedDigest: d, ClaimedMediaType: "application/vnd.oci.image.manifest.v1+json"})
		h.tell("push digest %d to %s", n, name)
	case hubDelete:
		delete(h.tags, name)
		h.tell("delete %s", name)
	case hubNotify, hubRepeat:
		h.notify(o)
	case hubLose:
		if _, ok := pick(h.pending, o.b); ok {
			i := int(o.b) % len(h.pending)
			h.pending = slices.Delete(h.pending, i, i+1)
			h.tell("lose a notification")
		}
	case hubSweep:
		h.tell("sweep")
		h.sweep()
	case hubRestart:
		h.tell("restart process %d", process)
		h.restart(process)
	case hubCatchUp:
		h.tell("process %d sees %d changes", process, h.views[process].catchUp(1+int(o.b)%4))
	case hubPass:
		h.second += int(o.a)
		h.tell("time passes")
	case hubPace:
		h.storage.fast = o.a%2 == 0
		h.tell("watches are fast: %t", h.storage.fast)
	case hubFail:
		h.storage.next = []fault{refused, replyLost}[o.a%2]
		h.tell("the next write fails, done: %t", h.storage.next == replyLost)
	case hubIntrude:
		h.tell("before the next write, push digest %d to %s and notify receiver %d", 1+int(o.c)%digests, name, int(o.a)%len(h.intakes))
		h.storage.intruder = func() {
			if i := int(o.a) % len(h.intakes); i != h.busy {
				busy := h.busy
				h.do(op{hubPush, o.a, o.b, o.c})
				h.notify(op{hubNotify, o.a, uint8(len(h.pending) - 1), 0})
				h.busy, h.intruded = busy, true
			}
		}
	default: // hubAway
		h.away = o.a%3 == 0
		h.tell("the registry is away: %t", h.away)
	}
}

// notify sends a hint, which may be late or repeated, to a receiver.
func (h *hub) notify(o op) {
	hints := h.pending
	if o.kind == hubRepeat {
		hints = h.past
	}
	hint, ok := pick(hints, o.b)
	if !ok {
		return
	}
	i := int(o.a) % len(h.intakes)
	h.tell("notify receiver %d of %s:%s", i, hint.ClaimedPath, hint.Tag)
	faults, writes, behind := h.storage.faults, h.storage.writes, len(h.views[i].queue) > 0
	name := hint.ClaimedPath + ":" + hint.Tag
	current := h.tags[name] != 0 && h.newest(name) == digestOf(h.tags[name])
	clear(h.heads)
	h.busy, h.intruded = i, false
	defer func() { h.busy = -1 }()
	r := h.intakes[i].Notification(context.Background(), intake.Endpoint{Host: hubHost, Allows: func(string) bool { return true }}, []webhook.Hint{hint})
	switch {
	case r.Status == intake.Again && r.Reason == intake.NotShown && h.tags[name] != 0 && digestOf(h.tags[name]) == hint.ClaimedDigest.String() && !h.away:
		h.fail("receiver %d does not see %s, which the registry shows as the hint claims", i, name)
		return
	case r.Status == intake.Again && (h.away || h.storage.faults > faults || r.Reason == intake.NotShown):
		return // its sender tries again
	case r.Status != intake.Done:
		h.fail("receiver %d answers %v for no reason: %v", i, r.Reason, r.Err)
		return
	}
	if o.kind == hubNotify {
		n := int(o.b) % len(h.pending)
		h.pending = slices.Delete(h.pending, n, n+1)
		h.past = append(h.past, hint)
	}
	if behind || h.intruded {
		return
	}
	h.settled(fmt.Sprintf("receiver %d", i), slices.Collect(maps.Keys(h.heads)))
	if current && h.storage.writes > writes {
		h.fail("receiver %d writes although %s is recorded as it is", i, name)
	}
}

func (h *hub) sweep() {
	faults, version, behind := h.storage.faults, h.storage.version, len(h.views[2].queue) > 0
	open := false
	for name, n := range h.tags {
		open = open || (n != artefact && h.newest(name) != digestOf(n))
	}
	h.intruded = false
	h.sweeper.Request(h.trigger)
	select {
	case <-h.done:
	case <-time.After(20 * time.Second):
		panic("a sweep has not ended after 20 s")
	}
	r, _ := h.sweeper.Latest(h.trigger.UID)
	h.trigger.Status.Baselines = r.Baselines
	empty := len(h.tags) == 0 && !h.away // nobody knows whether it hides what it has
	unseen := r.Reason != "" && (!empty || r.Reason != sweep.CatalogueIncomplete)
	switch {
	case r.Reason == sweep.TooManyTags && h.storage.bounds == forgets:
	case empty && r.Reason == "":
		h.fail("a sweep that was shown nothing says that it saw everything")
	case unseen && !h.away && h.storage.faults == faults:
		h.fail("a sweep failed without a cause: %s: %s", r.Reason, r.Message)
	case unseen || behind || h.intruded:
	default:
		h.settled("a sweep", slices.Collect(maps.Keys(h.tags)))
		if !open && h.storage.version != version {
			h.fail("a sweep adds to a ledger that has everything")
		}
	}
}

func runHub(b ledger.Bounds, ops []op) (h *hub, failure string) {
	h = newHub(b)
	defer func() { h.stop() }()
	for _, o := range ops {
		h.do(o)
		if h.invented(); h.failure != "" {
			return h, h.failure
		}
	}
	h.storage.next, h.storage.intruder, h.away = noFault, nil, false
	h.second += 90
	for _, v := range h.views {
		v.catchUp(len(v.queue))
	}
	h.tell("the end: all views are caught up, and one sweep")
	h.sweep()
	for _, v := range h.views {
		v.catchUp(len(v.queue))
	}
	version := h.storage.version
	if h.sweep(); h.storage.version != version {
		h.fail("a second sweep adds to the ledger")
	}
	h.invented()
	return h, h.failure
}

func hubStory(b ledger.Bounds, ops []op) string {
	short := shrink(ops, func(ops []op) bool {
		_, failure := runHub(b, ops)
		return failure != ""
	})
	h, failure := runHub(b, short)
	return fmt.Sprintf("%s\nafter these %d steps:\n%s", failure, len(short), strings.Join(h.trace, "\n"))
}

// The property, for registries: whatever becomes of notifications, after a look
// the ledger's newest push of a tag is what the registry shows; nothing is
// recorded that no tag pointed to, and what is looked at again adds nothing.
func TestModelOfRegistries(t *testing.T) {
	n := *sequences / 2
	if testing.Short() {
		n /= 10
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		r := rand.New(rand.NewPCG(seed, 1))
		ops := make([]op, 5+r.IntN(40))
		for i := range ops {
			ops[i] = op{hubDeck[r.IntN(len(hubDeck))], uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256))}
		}
		if _, failure := runHub(seedsFor(seed), ops); failure != "" {
			t.Fatalf("seed %d: %s", seed, hubStory(seedsFor(seed), ops))
		}
	}
}
