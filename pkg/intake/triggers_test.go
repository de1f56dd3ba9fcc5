package intake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
)

func newTriggersFor(t *testing.T, triggers ...*v1alpha1.ImageTrigger) *Triggers {
	t.Helper()
	set := NewTriggers(func(_ *v1alpha1.ImageTrigger, err error) { t.Error(err) })
	for _, trigger := range triggers {
		set.Handler().OnAdd(trigger, true)
	}
	return set
}

// named returns a trigger of a name with the entries.
func named(namespace, name string, images ...v1alpha1.ImageSelector) *v1alpha1.ImageTrigger {
	t := registryTrigger(namespace, "unused")
	t.Name, t.UID, t.Spec.Images = name, types.UID(namespace+"/"+name), images
	return t
}

// labelled selects the ImageStreams of the namespaces with a label; of all if value is empty.
func labelled(value string) v1alpha1.ImageSelector {
	s := &metav1.LabelSelector{}
	if value != "" {
		s.MatchLabels = map[string]string{"team": value}
	}
	return v1alpha1.ImageSelector{ImageStreams: &v1alpha1.ImageStreamSelector{NamespaceSelector: s}}
}

func names(triggers []*Trigger) []string {
	all := []string{}
	for _, t := range triggers {
		all = append(all, t.Namespace+"/"+t.Name)
	}
	return all
}

// What an event is held against does not grow with other people's triggers, and equal selectors
// of namespaces are matched once.
func TestOtherPeoplesTriggersAreNotLookedAt(t *testing.T) {
	own, host := v1alpha1.ImageSelector{ImageStreams: &v1alpha1.ImageStreamSelector{}}, v1alpha1.ImageSelector{Repository: "other.example.com/**"}
	triggers := []*v1alpha1.ImageTrigger{named("shop", "vet", own), named("shop", "registry", v1alpha1.ImageSelector{Repository: testHost + "/**"})}
	for n := range 500 {
		triggers = append(triggers, named(fmt.Sprintf("team-%d", n), "vet", own, host, labelled("red")), named(fmt.Sprintf("team-%d", n), "too", labelled("red")))
	}
	set := newTriggersFor(t, triggers...)
	for range 2 { // the second time it is remembered
		if mine, others := set.ofStreams("shop", map[string]string{"team": "blue"}); len(mine) != 1 || len(others) != 0 {
			t.Errorf("an event is held against %v of its namespace and %d others, want one and none", names(mine), len(others))
		}
	}
	if got := names(set.ofHost(testHost)); len(got) != 1 {
		t.Errorf("a notification is held against %d, want one", len(got))
	}
	if n := len(set.wide); n != 1 {
		t.Errorf("%d selectors are matched for each event, want one for all equal ones", n)
	}
}

// The indexes find what a look at each trigger finds, whatever was added, changed and removed.
func TestIndexesFindWhatALookAtAllFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	spaces := []string{"a", "b", "c"}
	entries := []v1alpha1.ImageSelector{
		{ImageStreams: &v1alpha1.ImageStreamSelector{}}, labelled(""), labelled("red"), labelled("blue"),
		{Repository: testHost + "/**"}, {Repository: "Other.example.com/x"},
	}
	set := newTriggersFor(t)
	all := map[string]*v1alpha1.ImageTrigger{}
	sets := []map[string]string{nil, {"team": "red"}, {"team": "blue"}}
	for range 500 {
		at := fmt.Sprintf("%s t%d", spaces[random.IntN(len(spaces))], random.IntN(6))
		switch old := all[at]; {
		case old != nil && random.IntN(2) == 0:
			set.Handler().OnDelete(old)
			delete(all, at)
		default:
			images := []v1alpha1.ImageSelector{}
			for range 1 + random.IntN(3) {
				images = append(images, entries[random.IntN(len(entries))])
			}
			all[at] = named(at[:1], at[2:], images...)
			set.Handler().OnUpdate(old, all[at])
		}
		for _, space := range spaces {
			labels := sets[random.IntN(len(sets))]
			want := []string{}
			for _, trigger := range all {
				compiled, err := selector.Compile(trigger)
				if err != nil {
					t.Fatal(err)
				}
				if !compiled.Stream(space, labels, "app", nil).Empty() {
					want = append(want, trigger.Namespace+"/"+trigger.Name)
				}
			}
			got := []string{}
			own, others := set.ofStreams(space, labels)
			for _, one := range slices.Concat(own, others) {
				if !one.selector.Stream(space, labels, "app", nil).Empty() {
					got = append(got, one.Namespace+"/"+one.Name)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("streams of %s labelled %v (-want +got):\n%s", space, labels, diff)
			}
		}
		want := []string{}
		for _, trigger := range all {
			if slices.ContainsFunc(trigger.Spec.Images, func(i v1alpha1.ImageSelector) bool { return i.Repository == "Other.example.com/x" }) {
				want = append(want, trigger.Namespace+"/"+trigger.Name)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, names(set.ofHost("oTHER.example.com"))); diff != "" {
			t.Fatalf("a host's (-want +got):\n%s", diff)
		}
		if set.Len() != len(all) {
			t.Fatalf("%d triggers, want %d", set.Len(), len(all))
		}
	}
	for _, old := range all {
		set.Handler().OnDelete(old)
	}
	if set.selectStreams() || set.selectOthers() || len(set.hosts) != 0 || len(set.spaces) != 0 || set.Len() != 0 {
		t.Errorf("something is left: %+v", set)
	}
}

// Property: what a namespace has too many costs as little as one: what counts is not sorted anew.
func TestTriggersThatAreTooManyAreNotSorted(t *testing.T) {
	refused := 0
	set := NewTriggers(func(*v1alpha1.ImageTrigger, error) { refused++ })
	made := func(n int) *v1alpha1.ImageTrigger {
		one := named("shop", fmt.Sprintf("t%03d", n), v1alpha1.ImageSelector{ImageStreams: &v1alpha1.ImageStreamSelector{}})
		one.CreationTimestamp = metav1.NewTime(testEpoch.Add(time.Duration(n) * time.Second))
		return one
	}
	for n := range selector.MaxTriggers {
		set.Handler().OnAdd(made(n+1), true)
	}
	counted := func() uintptr { return reflect.ValueOf(set.spaces["shop"].counted).Pointer() }
	before := counted()
	for n := range 10 {
		late := made(selector.MaxTriggers + n + 1)
		set.Handler().OnAdd(late, true)
		set.Handler().OnUpdate(late, late.DeepCopy())
		set.Handler().OnDelete(late)
	}
	if counted() != before || refused != 10 {
		t.Errorf("what counts was looked for anew (%t), or %d refusals, want 10", counted() != before, refused)
	}
	if set.Handler().OnAdd(made(0), true); counted() == before || set.spaces["shop"].counted["t000"] == nil || refused != 11 {
		t.Errorf("one that is older than all does not count; %d refusals, want 11", refused)
	}
}

// Of a namespace's triggers the oldest count, in whatever order they come.
func TestTheOldestTriggersOfANamespaceCount(t *testing.T) {
	refused := map[string]int{}
	set := NewTriggers(func(trigger *v1alpha1.ImageTrigger, err error) {
		var excess *selector.Excess
		if !errors.As(err, &excess) {
			t.Error(err)
		}
		refused[trigger.Name]++
	})
	own := v1alpha1.ImageSelector{ImageStreams: &v1alpha1.ImageStreamSelector{}}
	const extra = 20
	var all []*v1alpha1.ImageTrigger
	for n := range selector.MaxTriggers + extra {
		one := named("shop", fmt.Sprintf("t%03d", n), own, labelled(""))
		one.CreationTimestamp = metav1.NewTime(testEpoch.Add(time.Duration(n) * time.Second))
		all = append(all, one)
	}
	for _, n := range rand.New(rand.NewPCG(3, 4)).Perm(len(all)) {
		set.Handler().OnAdd(all[n], true)
	}
	set.Handler().OnAdd(named("other", "vet", own), true)
	held := func() []string { mine, _ := set.ofStreams("shop", nil); return names(mine) }
	if got := held(); len(got) != selector.MaxTriggers || got[0] != "shop/t000" || got[99] != "shop/t099" {
		t.Errorf("%d count, from %s to %s; want the oldest 100", len(got), got[0], got[len(got)-1])
	}
	if _, others := set.ofStreams("other", nil); len(others) != selector.MaxTriggers {
		t.Errorf("%d select another namespace, want 100", len(others))
	}
	before := refused["t110"]
	set.Handler().OnUpdate(all[110], all[110].DeepCopy())
	if before == 0 || refused["t110"] != before {
		t.Errorf("told %d times that t110 does not count, and %d times when its status changed", before, refused["t110"]-before)
	}
	set.Handler().OnDelete(all[7])
	if got := held(); len(got) != selector.MaxTriggers || got[99] != "shop/t100" {
		t.Errorf("%d count, up to %s; want t100 in the place of the one that is gone", len(got), got[len(got)-1])
	}
}
