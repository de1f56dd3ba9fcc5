package model_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/sweep"
)

// sabotage breaks the product on purpose, to see that the model notices.
type sabotage struct {
	// known is put round what the ledger answers.
	known func(ledger.Coverage) ledger.Coverage
	// believe makes receivers record what an event claims.
	believe bool
	// careless storage loses one of two writes at once.
	careless bool
	// bounds are how much of its tags an entry tells. That is no sabotage: none are the usual.
	bounds ledger.Bounds
}

// ledger returns one with the bounds.
func (s sabotage) ledger(c client.Client, x *ledger.Index) *ledger.Ledger {
	if s.bounds == (ledger.Bounds{}) {
		return ledger.New(c, x)
	}
	return ledger.NewBounded(c, x, s.bounds)
}

// The bounds that histories are played within: the usual ones, those with which entries name few
// tags and tell of all, and those with which they forget some.
var (
	usual    = ledger.Bounds{}
	named    = ledger.Bounds{Tags: 2, More: 8}
	forgets  = ledger.Bounds{Tags: 2, More: 1}
	bounded  = []ledger.Bounds{usual, named, forgets}
	seedsFor = func(seed uint64) ledger.Bounds { return bounded[seed%uint64(len(bounded))] }
)

// world is a cluster with two receivers and a controller that sweeps.
type world struct {
	sabotage sabotage
	model    *model
	storage  *storage
	second   int // since noon
	streams  []*stream
	uids     int
	events   int
	// pending were not delivered yet, past were at least once.
	pending, past []*event
	receivers     []*receiver
	sweeper       *sweeper
	// read is an entry as the controller read it, to be written later.
	read *v1alpha1.ImageVerification
	// deleted is when somebody last deleted an entry: for a minute, a process
	// may still trust what it wrote itself.
	deleted int

	trace   []string
	failure string
}

// receiver is one receiver: intake and its view of the ledger.
type receiver struct {
	world *world
	name  string
	watch *watch
	in    *intake.Intake
	// triggers is what the receiver's watch of ImageTriggers feeds.
	triggers *intake.Triggers
	// reads counts the streams that it read; claims is the event under way.
	reads  int
	claims *event
	// busy is true while it handles an event.
	busy bool
}

// sweeper is the controller's part that sweeps.
type sweeper struct {
	world   *world
	watch   *watch
	sweeper *sweep.Sweeper
	done    chan types.NamespacedName
	stop    func()
}

func newWorld(s sabotage) *world {
	w := &world{deleted: -1, sabotage: s, model: newModel(), storage: newStorage(s.bounds)}
	w.storage.careless = s.careless
	// What was there before the trigger, and within what clocks may differ.
	app := w.create("app")
	app.push("v1", item{1, -600})
	app.push("v1", item{2, -60})
	app.push("v2", item{1, -500})
	w.model.shown(app.object())
	w.addTrigger("all", func(t *v1alpha1.ImageTrigger) { t.Spec.Images[0].Tags.Exclude = []string{"*-dev"} })
	for i := range 2 {
		w.receivers = append(w.receivers, w.newReceiver(i))
	}
	w.sweeper = w.newSweeper()
	return w
}

func (w *world) close() { w.sweeper.stop() }

func (w *world) now() time.Time { return at(w.second) }

// tell adds a line to the history; fail ends it.
func (w *world) tell(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%4ds  %s", w.second, fmt.Sprintf(format, args...)))
}

func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

func (w *world) addTrigger(name string, change func(*v1alpha1.ImageTrigger)) {
	t := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("trigger-" + name), Generation: 1, CreationTimestamp: metav1.NewTime(w.now())},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}},
	}
	change(t)
	w.model.triggers = append(w.model.triggers, t)
	for _, r := range w.receivers {
		r.triggers.Handler().OnAdd(t, false)
	}
}

// find returns a stream, or nil.
func (w *world) find(name string) *stream {
	i := slices.IndexFunc(w.streams, func(s *stream) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return w.streams[i]
}

func (w *world) create(name string) *stream {
	w.uids++
	s := &stream{name: name, uid: fmt.Sprintf("%s-%d", name, w.uids), follows: map[string]string{}}
	w.streams = append(w.streams, s)
	slices.SortFunc(w.streams, func(a, b *stream) int { return strings.Compare(a.name, b.name) })
	return s
}

// changed makes an event of a write.
func (w *world) changed(verb string, s *stream) {
	w.events++
	e := &event{number: w.events, verb: verb, shows: s.object()}
	w.model.shown(e.shows)
	w.pending = append(w.pending, e)
}

// broken is the ledger, with the sabotage round it.
type broken struct {
	*ledger.Ledger
	known func(ledger.Coverage) ledger.Coverage
}

func (b broken) Known(t *v1alpha1.ImageTrigger, r push.Repository) ledger.Coverage {
	known := b.Ledger.Known(t, r)
	if b.known != nil {
		known = b.known(known)
	}
	return known
}

var (
	intakeMetrics = func() *intake.Metrics { m, err := intake.NewMetrics(noop.Meter{}); must(err); return m }()
	sweepMetrics  = func() *sweep.Metrics { m, err := sweep.NewMetrics(noop.Meter{}); must(err); return m }()
)

// shown is what the Image objects, which anybody may write first, show of digests: of
// many an image that it is an artefact.
func shown(d image.Digest) (runs bool) {
	return d.String() != digestOf(artefact) && d.Hex()[63]%2 == 0
}

// imageRegistry is what any registry has under a digest.
type imageRegistry struct{ sweep.Registry }

func (imageRegistry) Content(_ context.Context, ref image.Reference, _ source.Account) (image.Content, error) {
	return content(ref.Digest()), nil
}

// content is what the bytes of a digest tell.
func content(d image.Digest) image.Content {
	c := image.Content{Kind: image.ContentImage}
	if d.String() == digestOf(artefact) {
		c.OtherConfig = true
	}
	return c
}

func (w *world) newReceiver(i int) *receiver {
	r := &receiver{world: w, name: fmt.Sprintf("receiver %d", i), watch: w.storage.watch(w.now)}
	r.triggers = intake.NewTriggers(func(_ *v1alpha1.ImageTrigger, err error) { panic(err) })
	for _, t := range w.model.triggers {
		r.triggers.Handler().OnAdd(t, true)
	}
	r.in = intake.New(intake.Dependencies{
		Triggers: r.triggers, Namespaces: r, Cluster: r, Registry: imageRegistry{}, Ledger: broken{w.sabotage.ledger(w.storage, r.watch.index), w.sabotage.known},
		Metrics: intakeMetrics, Log: zap.NewNop(), Now: w.now, RegistryTimeout: time.Second, RecordConcurrency: 1,
	})
	return r
}

// Stream implements intake.Cluster.
func (r *receiver) Stream(_ context.Context, _, name string) (*openshift.StreamState, error) {
	r.reads++
	is := r.world.shows(name)
	if r.world.sabotage.believe {
		is = r.claims.shows
	}
	if is == nil {
		return nil, nil
	}
	return &openshift.StreamState{Labels: is.Labels, Stream: openshift.Stream(is)}, nil
}

// Image implements intake.Cluster.
func (r *receiver) Image(_ context.Context, d image.Digest) (openshift.ImageState, error) {
	return openshift.ImageState{Runs: shown(d)}, nil
}

// MayGet implements intake.Cluster.
func (r *receiver) MayGet(context.Context, source.Account, string, string) (bool, error) {
	return true, nil
}

// Labels implements intake.Namespaces.
func (r *receiver) Labels(context.Context, string) (map[string]string, error) { return nil, nil }

// shows is a stream as it is now, or nil.
func (w *world) shows(name string) *imagev1.ImageStream {
	s := w.find(name)
	if s == nil {
		return nil
	}
	return s.object()
}

func (w *world) newSweeper() *sweeper {
	s := &sweeper{world: w, watch: w.storage.watch(w.now), done: make(chan types.NamespacedName, 16)}
	s.sweeper, s.stop = startSweeper(sweep.Dependencies{
		Cluster: s, Images: s, Registry: imageRegistry{}, Ledger: broken{w.sabotage.ledger(w.storage, s.watch.index), w.sabotage.known}, Examiner: sweep.Ignore{}, Metrics: sweepMetrics,
		Log: zap.NewNop(), Now: w.now, Done: func(k types.NamespacedName) { s.done <- k },
	})
	return s
}

// turns lets one worker of a sweeper record at a time: those for streams and for registries work
// beside each other, and the storage is for one.
type turns struct {
	sweep.Ledger
	mu sync.Mutex
}

func (l *turns) Record(ctx context.Context, t *v1alpha1.ImageTrigger, p push.Push, facts *v1alpha1.ImageFacts, source v1alpha1.PushSource, now time.Time) (ledger.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Ledger.Record(ctx, t, p, facts, source, now)
}

// startSweeper runs a sweeper that looks at one thing after another, so that a seed
// gives one history.
func startSweeper(d sweep.Dependencies) (s *sweep.Sweeper, stop func()) {
	d.Ledger = &turns{Ledger: d.Ledger}
	options := sweep.DefaultOptions()
	options.Gather, options.Concurrency, options.Workers, options.WorkersEach = 0, 1, 1, 1
	s, err := sweep.New(d, options)
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		s.Run(ctx)
		close(ended)
	}()
	return s, func() {
		cancel()
		<-ended
	}
}

// EachStream implements sweep.Cluster. The list is of one moment.
func (s *sweeper) EachStream(_ context.Context, _ string, each func(*openshift.StreamState)) error {
	var states []*openshift.StreamState
	for _, is := range s.world.streams {
		o := is.object()
		states = append(states, &openshift.StreamState{Namespace: namespace, Name: o.Name, Labels: o.Labels, Stream: openshift.Stream(o)})
	}
	for _, state := range states {
		each(state)
	}
	return nil
}

// Namespaces implements sweep.Cluster.
func (s *sweeper) Namespaces(context.Context) (map[string]map[string]string, error) {
	return map[string]map[string]string{namespace: nil}, nil
}

// MayGet implements sweep.Cluster.
func (s *sweeper) MayGet(context.Context, source.Account, string, string) (bool, error) {
	return true, nil
}

// Image implements sweep.Images.
func (s *sweeper) Image(_ context.Context, d image.Digest) (openshift.ImageState, error) {
	return openshift.ImageState{Runs: shown(d)}, nil
}

// unaware reports whether a process may take a deleted entry for one that is there.
func (w *world) unaware(view *watch) bool {
	return view.deletion() || (w.deleted >= 0 && w.second <= w.deleted+60)
}

// sweep sweeps for all triggers, and waits.
func (w *world) sweep() (recovered int32) {
	faults, unaware := w.storage.faults, w.unaware(w.sweeper.watch)
	for _, t := range w.model.triggers {
		w.sweeper.sweeper.Request(t)
	}
	for range w.model.triggers {
		select {
		case <-w.sweeper.done:
		case <-time.After(20 * time.Second):
			panic("a sweep has not ended after 20 s")
		}
	}
	for _, t := range w.model.triggers {
		r, _ := w.sweeper.sweeper.Latest(t.UID)
		recovered += r.Recovered
		switch {
		case unaware:
		case r.Reason == "":
			for _, s := range w.streams {
				w.model.looked(t, s.object())
			}
		case r.Reason == sweep.TooManyTags && w.sabotage.bounds == forgets:
		case w.storage.faults == faults:
			w.fail("a sweep failed without a cause: %s: %s", r.Reason, r.Message)
		}
	}
	return recovered
}

// deliver hands an event to a receiver.
func (w *world) deliver(r *receiver, e *event, reference bool) {
	news, artefacts := w.model.showsNew(e.shows, recorded(w.storage))
	behind, intruded := len(r.watch.queue) > 0, w.storage.intruder != nil
	unaware := w.unaware(r.watch)
	reads, writes, faults := r.reads, w.storage.writes, w.storage.faults
	r.claims, r.busy = e, true
	defer func() { r.busy = false }()
	result := r.in.Event(context.Background(), "adapter", e.sent(reference))
	if reference {
		news, artefacts = true, true // it claims nothing, so it must be read
	}
	switch {
	case result.Status == intake.Again && (w.storage.faults > faults || unaware):
		w.pending = append(w.pending, e) // its sender tries again
		return
	case result.Status != intake.Done:
		w.fail("%s answers %v to %v for no reason: %v", r.name, result.Reason, e, result.Err)
		return
	}
	if !slices.Contains(w.past, e) {
		w.past = append(w.past, e)
	}
	read := r.reads > reads
	switch {
	case e.verb == "delete" && read:
		w.fail("%s reads a stream because %v deletes it", r.name, e)
	case e.verb != "delete" && news && !read && !unaware:
		w.fail("%s passes over %v, which shows something new", r.name, e)
	case !news && !artefacts && !behind && !intruded && (read || w.storage.writes > writes):
		w.fail("%s makes requests for %v, which shows nothing new", r.name, e)
	}
	if is := w.shows(e.shows.Name); read && is != nil && !unaware {
		for _, t := range w.model.triggers {
			w.model.looked(t, is)
		}
	}
}

// settle ends a history: no more faults, all views caught up, one sweep. Then
// nothing may be missing, and nothing that is repeated may add anything.
func (w *world) settle() {
	w.storage.next, w.storage.intruder = noFault, nil
	w.second += 90 // what a process wrote itself is no longer trusted unseen
	w.catchUp()
	w.tell("the end: all views are caught up, and one sweep")
	w.sweep()
	w.check()
	w.catchUp()
	version := w.storage.version
	if again := w.sweep(); again != 0 || w.storage.version != version {
		w.fail("a second sweep records %d pushes more", again)
	}
	for _, e := range slices.Concat(w.past, w.pending) {
		for _, r := range w.receivers {
			w.deliver(r, e, false)
		}
		if w.storage.version != version {
			w.fail("%v, delivered once more after the sweep, adds to the ledger", e)
			return
		}
	}
}

func (w *world) catchUp() {
	for _, r := range w.receivers {
		r.watch.catchUp(len(r.watch.queue))
	}
	w.sweeper.watch.catchUp(len(w.sweeper.watch.queue))
}

func (w *world) check() {
	if w.storage.violation != "" {
		w.fail("%s", w.storage.violation)
	}
	if wrong := w.model.check(w.storage); wrong != "" {
		w.fail("%s", wrong)
	}
}
