package intake

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
)

// Trigger is an ImageTrigger with its selectors compiled.
type Trigger struct {
	*v1alpha1.ImageTrigger
	selector *selector.Selector
}

func (t *Trigger) account() source.Account { return source.AccountOf(t.ImageTrigger) }

// byName orders triggers by namespace and name.
func byName(a, b *Trigger) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// Triggers holds the triggers that can be used, compiled once, and finds those that may select
// something without a look at the others. It is fed by an informer and safe for concurrent use.
type Triggers struct {
	// refused is told of a trigger that cannot be used: its selectors do not compile, or its
	// namespace has too many. The controller says so in the trigger's conditions; its pushes
	// are recovered by a sweep once it is repaired.
	refused func(*v1alpha1.ImageTrigger, error)

	mu sync.RWMutex
	// spaces holds the triggers by their namespace. Those that count are in the indexes
	// below, whose lists are ordered by name and never changed in place.
	spaces  map[string]*space
	count   int
	streams map[string][]*Trigger // those that select ImageStreams, by their namespace
	wide    map[string]*group     // those that select other namespaces, by the selector
	hosts   map[string][]*Trigger // those that select repositories, by the registry's host
	// remembered says which of the wide ones select a namespace with some labels.
	remembered map[string]matched
	size       int
}

// space is what one namespace has: all its triggers, of which the oldest count.
type space struct {
	all     map[string]*Trigger
	counted map[string]*Trigger
}

// group is the triggers with one namespaceSelector, which is matched once for all of them.
type group struct {
	selector labels.Selector
	triggers []*Trigger
}

// matched are the triggers that select a namespace while it has some labels.
type matched struct {
	labels   map[string]string
	triggers []*Trigger
}

// maxMatched bounds what is remembered of namespaces, in triggers and namespaces, of 8 and
// about 100 bytes.
const maxMatched = 1 << 18

// NewTriggers returns an empty set.
func NewTriggers(refused func(*v1alpha1.ImageTrigger, error)) *Triggers {
	return &Triggers{
		refused: refused, spaces: map[string]*space{}, streams: map[string][]*Trigger{},
		wide: map[string]*group{}, hosts: map[string][]*Trigger{}, remembered: map[string]matched{},
	}
}

// Len returns how many triggers count.
func (t *Triggers) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count
}

// selectStreams reports whether any trigger selects ImageStreams.
func (t *Triggers) selectStreams() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.streams) > 0
}

// selectOthers reports whether any trigger selects ImageStreams by their namespaces' labels.
func (t *Triggers) selectOthers() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.wide) > 0
}

// ofStreams returns the triggers that may select ImageStreams of a namespace: its own, and those
// of other namespaces that select its labels.
func (t *Triggers) ofStreams(namespace string, set map[string]string) (own, others []*Trigger) {
	t.mu.RLock()
	own = t.streams[namespace]
	have, ok := t.remembered[namespace]
	none := len(t.wide) == 0
	t.mu.RUnlock()
	if none || (ok && maps.Equal(have.labels, set)) {
		return own, have.triggers
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.streams[namespace], t.match(namespace, set)
}

func (t *Triggers) match(namespace string, set map[string]string) []*Trigger {
	var others []*Trigger
	for _, g := range t.wide {
		if g.selector.Matches(labels.Set(set)) {
			others = append(others, g.triggers...)
		}
	}
	slices.SortFunc(others, byName)
	others = slices.DeleteFunc(slices.Compact(others), func(one *Trigger) bool { return one.Namespace == namespace })
	cost := len(others) + 16
	if t.size += cost; t.size > maxMatched {
		clear(t.remembered)
		t.size = cost
	}
	t.remembered[namespace] = matched{maps.Clone(set), slices.Clip(others)}
	return others
}

// ofHost returns the triggers that select repositories of a registry.
func (t *Triggers) ofHost(host string) []*Trigger {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.hosts[strings.ToLower(host)]
}

// Handler feeds the set; add it to an informer of ImageTriggers.
func (t *Triggers) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { t.observe(obj) },
		UpdateFunc: func(_, obj any) { t.observe(obj) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if trigger, ok := obj.(*v1alpha1.ImageTrigger); ok {
				t.replace(trigger, nil)
			}
		},
	}
}

func (t *Triggers) observe(obj any) {
	trigger, ok := obj.(*v1alpha1.ImageTrigger)
	if !ok {
		return
	}
	if trigger.DeletionTimestamp != nil {
		t.replace(trigger, nil)
		return
	}
	t.replace(trigger, &Trigger{ImageTrigger: trigger})
}

// replace puts a trigger in the place of the one of its name, or removes that.
func (t *Triggers) replace(old *v1alpha1.ImageTrigger, by *Trigger) {
	for trigger, err := range t.put(old, by) {
		t.refused(trigger, err)
	}
}

// put returns the triggers that cannot be used, and could until now or are new. One whose
// selectors do not compile takes its place among those that count, as it does for the controller.
func (t *Triggers) put(old *v1alpha1.ImageTrigger, by *Trigger) (refused map[*v1alpha1.ImageTrigger]error) {
	refused = map[*v1alpha1.ImageTrigger]error{}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spaces[old.Namespace]
	if s == nil {
		s = &space{all: map[string]*Trigger{}, counted: map[string]*Trigger{}}
		t.spaces[old.Namespace] = s
	}
	_, known := s.all[old.Name]
	if delete(s.all, old.Name); by != nil {
		s.all[old.Name] = by
	}
	if s.tooMany(old.Name, by) {
		if by != nil && !known {
			refused[old] = &selector.Excess{Namespace: old.Namespace}
		}
		return refused
	}
	counted := s.oldest()
	for name, was := range s.counted {
		if now := counted[name]; now != was {
			t.index(was, false)
			if now == nil && s.all[name] != nil {
				refused[was.ImageTrigger] = &selector.Excess{Namespace: was.Namespace}
				was.selector = nil
			}
		}
	}
	for name, now := range counted {
		if s.counted[name] == now {
			continue
		}
		var err error
		if now.selector, err = selector.Compile(now.ImageTrigger); err != nil {
			refused[now.ImageTrigger] = err
		}
		t.index(now, true)
	}
	if s.counted = counted; len(s.all) == 0 {
		delete(t.spaces, old.Namespace)
	}
	return refused
}

// tooMany reports whether a trigger does not count, and did not: what a namespace has too many is
// not compared with all that it has.
func (s *space) tooMany(name string, by *Trigger) bool {
	if s.counted[name] != nil || len(s.counted) < selector.MaxTriggers {
		return false
	}
	if by == nil {
		return true
	}
	for _, one := range s.counted {
		if selector.Older(by.ImageTrigger, one.ImageTrigger) < 0 {
			return false
		}
	}
	return true
}

// oldest returns the triggers of a namespace that count.
func (s *space) oldest() map[string]*Trigger {
	if len(s.all) <= selector.MaxTriggers {
		return maps.Clone(s.all)
	}
	all := slices.SortedFunc(maps.Values(s.all), func(a, b *Trigger) int { return selector.Older(a.ImageTrigger, b.ImageTrigger) })
	counted := make(map[string]*Trigger, selector.MaxTriggers)
	for _, one := range all[:selector.MaxTriggers] {
		counted[one.Name] = one
	}
	return counted
}

// index adds a trigger to the indexes, or removes it.
func (t *Triggers) index(one *Trigger, add bool) {
	if one.selector == nil {
		return
	}
	if add {
		t.count++
	} else {
		t.count--
	}
	if streams, _ := one.selector.SelectsStreams(); streams {
		change(t.streams, one.Namespace, one, add)
	}
	for _, host := range one.selector.Hosts() {
		change(t.hosts, host, one, add)
	}
	for key, s := range one.selector.Namespaces() {
		clear(t.remembered)
		t.size = 0
		g := t.wide[key]
		if g == nil {
			g = &group{selector: s}
			t.wide[key] = g
		}
		if g.triggers = changed(g.triggers, one, add); len(g.triggers) == 0 {
			delete(t.wide, key)
		}
	}
}

func change(in map[string][]*Trigger, key string, one *Trigger, add bool) {
	if list := changed(in[key], one, add); len(list) > 0 {
		in[key] = list
	} else {
		delete(in, key)
	}
}

// changed returns a copy of a list with a trigger more or less.
func changed(list []*Trigger, one *Trigger, add bool) []*Trigger {
	at, found := slices.BinarySearchFunc(list, one, byName)
	next := make([]*Trigger, 0, len(list)+1)
	next = append(next, list[:at]...)
	if add {
		next = append(next, one)
	}
	if found {
		at++
	}
	return append(next, list[at:]...)
}
