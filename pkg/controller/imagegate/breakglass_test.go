package imagegate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// glass shows the observer a Pod with the label, made some seconds after noon.
func (b *bench) glass(namespace, name string, second int) {
	p := &metav1.PartialObjectMetadata{}
	p.Namespace, p.Name, p.UID = namespace, name, types.UID("uid-"+name)
	p.CreationTimestamp = metav1.NewTime(noon.Add(time.Duration(second) * time.Second))
	p.Labels = map[string]string{v1alpha1.BreakGlassLabel: "true"}
	b.observer.PodHandler().OnAdd(p, false)
}

func (b *bench) uses() string {
	b.t.Helper()
	if !b.observer.countGlass(b.t.Context()) {
		b.t.Error("counting failed")
	}
	s := b.observer.Report(b.gate).BreakGlass
	return fmt.Sprintf("%d %s", s.Uses, strings.TrimPrefix(s.LastPod, "prod/"))
}

// Property: a use is counted once, where the gate looks, and never one that is older.
func TestUsesOfBreakGlassAreCounted(t *testing.T) {
	b := newBench(t)
	b.observer.Report(b.gate)
	b.glass("prod", "a", 1)
	b.glass("prod", "a", 1)
	b.glass("test", "x", 2)
	b.glass("kube-system", "y", 2)
	b.glass("prod", "older-than-the-gate", -7200)
	b.glass("gone", "b", 3)
	if got := b.uses(); got != "2 gone/b" {
		t.Errorf("uses are %s", got)
	}
	if got := b.uses(); got != "2 gone/b" {
		t.Errorf("looking again, uses are %s", got)
	}
	b.glass("prod", "c", 2) // another API server's clock
	if got := b.uses(); got != "3 gone/b" {
		t.Errorf("uses are %s", got)
	}
	if events := b.events(); len(events) != 6 {
		t.Errorf("Events %q", events)
	}
}

// Property: a process that takes over counts what it saw while nobody led, Pods that are gone
// included, and what the status tells is not counted again.
func TestUsesAreCountedOnceAcrossProcesses(t *testing.T) {
	for _, test := range []struct {
		name string
		last string
		at   int
		want string
	}{
		{"the status tells the second", "prod/b", 2, "3 c"},
		{"the status tells the newest", "prod/c", 3, "2 c"},
		{"another Pod of the same second may have been counted or not", "prod/z", 3, "3 c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			for i, name := range []string{"c", "a", "b"} { // as a list has them, in no order
				b.glass("prod", name, []int{3, 1, 2}[i])
			}
			at := metav1.NewTime(noon.Add(time.Duration(test.at) * time.Second))
			b.gate.Status.BreakGlass = v1alpha1.BreakGlassStatus{Uses: 2, LastAt: &at, LastPod: test.last}
			b.observer.Report(b.gate)
			if got := b.uses(); got != test.want {
				t.Errorf("uses are %s, want %s", got, test.want)
			}
			b.glass("prod", "d", 4)
			if got := b.uses(); !strings.HasSuffix(got, " d") {
				t.Errorf("uses are %s", got)
			}
		})
	}
}

// Property: what is remembered is bounded, whatever is made.
func TestPodsWithTheLabelAreBounded(t *testing.T) {
	l := newGlassLog()
	for i := range maxGlass + 10 {
		l.add(glassPod{uid: types.UID(fmt.Sprint(i))})
	}
	if len(l.pods) != maxGlass || len(l.known) != maxGlass || len(l.since(0)) != maxGlass || len(l.since(l.next()-1)) != 1 {
		t.Errorf("%d Pods and %d UIDs are kept", len(l.pods), len(l.known))
	}
}
