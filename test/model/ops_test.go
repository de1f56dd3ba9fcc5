package model_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
)

// op is one step of a history. Its numbers are taken modulo what there is, so
// that a step means something whatever was dropped before it.
type op struct {
	kind    kind
	a, b, c uint8
}

// kind says what a step does.
type kind uint8

const (
	pushImage  kind = iota // to stream a, tag b: digest c
	aliasTag               // stream a, tag b, to tag c
	referTo                // stream a, tag b: a reference without a digest
	editLabel              // stream a
	pass                   // a*2 seconds
	deliver                // pending event b to receiver a
	deliverAll             // in order, to receiver a
	lose                   // pending event b
	redeliver              // past event b to receiver a
	sweepAll               //
	restart                // process a: it lists again
	catchUp                // process a: b events of its watch
	relist                 // process a: its watch had a gap
	watchPace              // a: fast or slow
	failWrite              // a: how
	intrude                // before the next write receiver a handles pending event b
	readEntry              // b, as the controller does
	writeEntry             // what was read, with a status

	// From here on something vanishes, or is not the same for all.
	setBack      // stream a, tag b: to the item before
	prune        // stream a, tag b: the oldest item
	deleteTag    // stream a, tag b
	deleteStream // a
	newTrigger   //
	deleteEntry  // b

	kinds
)

// weights make pushes and deliveries frequent.
var weights = map[kind]int{
	pushImage: 10, aliasTag: 3, referTo: 1, editLabel: 2, pass: 5, deliver: 8, deliverAll: 2, lose: 4, redeliver: 3, sweepAll: 2,
	restart: 1, catchUp: 4, relist: 1, watchPace: 1, failWrite: 2, intrude: 2, readEntry: 2, writeEntry: 2,
	setBack: 1, prune: 2, deleteTag: 2, deleteStream: 1, newTrigger: 1, deleteEntry: 1,
}

var deck = func() []kind {
	var all []kind
	for k := range kinds {
		for range weights[k] {
			all = append(all, k)
		}
	}
	return all
}()

// random returns the history of a seed.
func random(seed uint64) []op {
	r := rand.New(rand.NewPCG(seed, 0))
	ops := make([]op, 5+r.IntN(40))
	for i := range ops {
		ops[i] = op{deck[r.IntN(len(deck))], uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256))}
	}
	return ops
}

// decode reads a history from a fuzzer's bytes.
func decode(data []byte, below kind) []op {
	var ops []op
	for len(data) >= 4 && len(ops) < 64 {
		ops = append(ops, op{kind(data[0]) % below, data[1], data[2], data[3]})
		data = data[4:]
	}
	return ops
}

func encode(ops []op) []byte {
	var data []byte
	for _, o := range ops {
		data = append(data, byte(o.kind), o.a, o.b, o.c)
	}
	return data
}

// run plays a history in a new world and returns what went wrong, or "".
func run(s sabotage, ops []op) (w *world, failure string) {
	w = newWorld(s)
	defer w.close()
	defer func() {
		if p := recover(); p != nil {
			w.fail("panic: %v", p)
			failure = w.failure
		}
	}()
	version := 0
	for _, o := range ops {
		w.do(o)
		if w.failure == "" && w.storage.version != version {
			version = w.storage.version
			w.check()
		}
		if w.failure != "" {
			return w, w.failure
		}
	}
	w.settle()
	return w, w.failure
}

// shrink drops steps as long as the history still fails.
func shrink(ops []op, fails func([]op) bool) []op {
	for size := len(ops) / 2; size > 0; {
		dropped := false
		for from := 0; from+size <= len(ops); {
			if shorter := slices.Concat(ops[:from], ops[from+size:]); fails(shorter) {
				ops, dropped = shorter, true
			} else {
				from += size
			}
		}
		if !dropped || size > len(ops) {
			size /= 2
		}
	}
	return ops
}

func pick[T any](all []T, n uint8) (one T, ok bool) {
	if len(all) == 0 {
		return one, false
	}
	return all[int(n)%len(all)], true
}

func (w *world) do(o op) {
	switch {
	case o.kind <= editLabel || (o.kind >= setBack && o.kind <= deleteStream):
		w.doStream(o)
	case o.kind >= deliver && o.kind <= redeliver || o.kind == intrude:
		w.doEvent(o)
	case o.kind == readEntry || o.kind == writeEntry || o.kind == deleteEntry:
		w.doEntry(o)
	default:
		w.doProcess(o)
	}
}

// doStream changes a stream, as its users do.
func (w *world) doStream(o op) {
	name, _ := pick(streamNames, o.a)
	tag, _ := pick(tagNames, o.b)
	s := w.find(name)
	if s == nil {
		if o.kind != pushImage {
			return
		}
		// The first push shows as two writes, the first without a tag.
		s = w.create(name)
		w.changed("add", s)
	}
	what, done := "", false
	switch o.kind {
	case pushImage:
		digest := 1 + int(o.c)%digests
		what, done = fmt.Sprintf("push digest %d to %s:%s", digest, name, tag), s.push(tag, item{digest, w.second})
	case aliasTag:
		source, _ := pick(tagNames, o.c)
		other, _ := pick(streamNames, o.c/8)
		if from := w.find(other); from != nil {
			what, done = fmt.Sprintf("tag %s:%s as %s:%s", other, source, name, tag), s.alias(tag, from, source)
		}
	case referTo:
		what, done = fmt.Sprintf("make %s:%s a reference", name, tag), s.head(tag, item{0, w.second})
	case editLabel:
		s.label++
		what, done = "edit a label of "+name, true
	case deleteTag:
		what, done = "delete the tag "+name+":"+tag, s.remove(tag)
	case deleteStream:
		w.streams = slices.DeleteFunc(w.streams, func(other *stream) bool { return other == s })
		w.tell("delete the stream %s", name)
		w.changed("delete", s)
		return
	default: // setBack, prune
		t := s.tag(tag)
		if t == nil || len(t.items) < 2 {
			return
		}
		what, done = fmt.Sprintf("set %s:%s back", name, tag), true
		if o.kind == prune {
			what, t.items = fmt.Sprintf("prune %s:%s", name, tag), t.items[:len(t.items)-1]
		} else {
			t.items = t.items[1:]
		}
	}
	if done {
		w.changed("update", s)
		w.tell("%s: %v", what, w.pending[len(w.pending)-1])
	}
}

// doEvent delivers, loses or repeats.
func (w *world) doEvent(o op) {
	r, _ := pick(w.receivers, o.a)
	all := w.pending
	if o.kind == redeliver {
		all = w.past
	}
	e, ok := pick(all, o.b)
	if !ok {
		return
	}
	take := func() bool {
		i := slices.Index(w.pending, e)
		if i >= 0 {
			w.pending = slices.Delete(w.pending, i, i+1)
		}
		return i >= 0
	}
	switch o.kind {
	case deliver:
		take()
		w.tell("deliver %v to %s", e, r.name)
		w.deliver(r, e, o.c%8 == 0)
	case deliverAll:
		w.tell("deliver all events to %s", r.name)
		for _, e = range slices.Clone(w.pending) {
			take()
			w.deliver(r, e, false)
		}
	case lose:
		take()
		w.tell("lose %v", e)
	case redeliver:
		w.tell("deliver %v once more, to %s", e, r.name)
		w.deliver(r, e, false)
	default: // intrude
		w.tell("before the next write, deliver %v to %s", e, r.name)
		w.storage.intruder = func() {
			// It may have been restarted; and it handles a stream's events one at a time.
			if r, _ := pick(w.receivers, o.a); !r.busy && take() {
				w.deliver(r, e, false)
			}
		}
	}
}

// doEntry is what others do to an entry.
func (w *world) doEntry(o op) {
	name, ok := pick(w.storage.names(), o.b)
	switch {
	case o.kind == writeEntry && w.read != nil:
		l := w.sabotage.ledger(w.storage, w.sweeper.watch.index)
		w.tell("the controller writes the status of %s", w.read.Name)
		faults := w.storage.faults
		_, err := l.UpdateStatus(context.Background(), w.read, func(s *v1alpha1.ImageVerificationStatus) {
			s.Phase, s.RunCount = v1alpha1.PhaseRunning, s.RunCount+1
			for i := range s.Tags {
				if s.Tags[i].Run == 0 {
					s.Tags[i].Run = s.RunCount
				}
			}
			if s.MoreTags != nil {
				s.MoreTags.Decide(s.RunCount)
			}
		})
		_, there := w.storage.entries[w.read.Name]
		if err != nil && there && !errors.Is(err, ledger.ErrConflict) && w.storage.faults == faults {
			w.fail("the status cannot be written: %v", err)
		}
		w.read = nil
	case !ok:
	case o.kind == readEntry:
		w.read = w.storage.entries[name].DeepCopy()
		w.tell("the controller reads %s", name)
	case o.kind == deleteEntry:
		w.tell("somebody deletes the entry %s", name)
		w.model.forget(w.storage.entries[name])
		w.storage.drop(name)
		w.deleted = w.second
	}
}

// doProcess is what happens to processes, their views, time and triggers.
func (w *world) doProcess(o op) {
	n := int(o.a) % (len(w.receivers) + 1)
	view, name := w.sweeper.watch, "the controller"
	if n < len(w.receivers) {
		view, name = w.receivers[n].watch, w.receivers[n].name
	}
	switch o.kind {
	case pass:
		w.second += 2 * int(o.a%64)
		w.tell("time passes")
	case sweepAll:
		w.tell("sweep")
		w.sweep()
	case restart:
		w.tell("restart %s", name)
		w.storage.unwatch(view)
		if n < len(w.receivers) {
			w.receivers[n] = w.newReceiver(n)
			return
		}
		w.sweeper.stop()
		w.sweeper = w.newSweeper()
	case catchUp:
		w.tell("%s sees %d changes of the ledger", name, view.catchUp(1+int(o.b)%8))
	case relist:
		w.tell("%s lists the ledger again", name)
		view.relist(w.storage)
	case watchPace:
		w.storage.fast = o.a%2 == 0
		w.tell("watches are fast: %t", w.storage.fast)
	case failWrite:
		w.storage.next = refused
		if o.a%2 == 0 {
			w.storage.next = replyLost
		}
		w.tell("the next write fails, done: %t", w.storage.next == replyLost)
	case newTrigger:
		if len(w.model.triggers) > 1 {
			return
		}
		w.tell("make another trigger, of streams with %s=0, existing: Verify", edited)
		w.addTrigger("other", func(t *v1alpha1.ImageTrigger) {
			t.Spec.Existing = v1alpha1.ExistingVerify
			t.Spec.Images[0].ImageStreams.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{edited: "0"}}
		})
	default:
		panic(fmt.Sprintf("no such step: %d", o.kind))
	}
}
