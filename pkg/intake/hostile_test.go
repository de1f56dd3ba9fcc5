package intake

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// claim handles an event that somebody made up, with the body of an ImageStream.
func (f *fixture) claim(body string) Result {
	e := cloudevents.New()
	e.SetID("1")
	e.SetSource("s")
	e.SetType("dev.knative.apiserver.resource.update")
	if err := e.SetData("application/json", []byte(body)); err != nil {
		f.t.Fatal(err)
	}
	return f.intake.Event(f.t.Context(), "10.0.0.1", &e)
}

// heap is what the process holds.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Anybody who reaches the receiver may send events that claim anything. Nothing of what they
// claim is kept, however long it is: what is kept is counted, not measured.
func TestWhatEventsClaimIsNotKept(t *testing.T) {
	const events, size = 32, 1 << 20
	for _, test := range []struct {
		name string
		body func(text string) string
	}{
		{"a namespace", func(text string) string { return claimed(text, "app", "u", `{"tag":"v1","items":[]}`) }},
		{"a name", func(text string) string { return claimed("shop", text, "u", `{"tag":"v1","items":[{"image":"x"}]}`) }},
		{"a UID", func(text string) string { return claimed("shop", "app", text, `{"tag":"v1","items":[{"image":"x"}]}`) }},
		{"a tag", func(text string) string { return claimed("shop", "app", "u", `{"tag":"`+text+`","items":[]}`) }},
		{"a digest", func(text string) string {
			return claimed("shop", "app", "u", `{"tag":"v1","items":[{"image":"`+text+`"}]}`)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, streamsOf("shop"), wide("platform", 1)[0])
			f.claim(test.body("short"))
			before := heap()
			for n := range events {
				f.claim(test.body(fmt.Sprintf("%d-%s", n, strings.Repeat("x", size))))
			}
			f.logs.TakeAll()
			if kept := heap() - before; kept > size {
				t.Errorf("%d KiB are kept of %d events", kept>>10, events)
			}
			runtime.KeepAlive(f)
		})
	}
}

func claimed(namespace, name, uid, tag string) string {
	return `{"apiVersion":"image.openshift.io/v1","kind":"ImageStream","metadata":{"namespace":"` + namespace + `","name":"` + name +
		`","uid":"` + uid + `"},"status":{"tags":[` + tag + `]}}`
}

// What an event takes while it is handled depends on its size, and not on the number of triggers
// that it is held against.
func TestWhatAnEventTakesDoesNotGrowWithTriggers(t *testing.T) {
	const items, many = 2000, 50
	var digests []string
	for n := range items {
		digests = append(digests, fmt.Sprintf("sha256:%064x", n))
	}
	state := shows(digests...)
	took := map[int]int64{}
	for _, triggers := range []int{2, many} {
		var all []*v1alpha1.ImageTrigger
		for n := range triggers {
			one := streamsOf([]string{"shop", "other"}[n%2])
			one.Name, one.UID = fmt.Sprintf("t%d", n), types.UID(fmt.Sprintf("u%d", n))
			one.Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{}
			all = append(all, one)
		}
		f := newFixture(t, all...)
		f.image = openshift.ImageState{Runs: true}
		// Of a stream of "shop" its own triggers, which are half of all; of another's all.
		for namespace, want := range map[string]int{"shop": triggers / 2, "third": triggers} {
			findings, _, _ := f.intake.hasNews(t.Context(), openshift.Observation{
				Object: openshift.Object{Kind: openshift.ImageStream, Namespace: namespace, Name: "app"}, Stream: &state.Stream,
			})
			held := 0
			for _, one := range findings {
				held += cap(one.Pushes)
			}
			if len(findings) != want || held > want*maxPrefetch {
				t.Errorf("%s: %d findings hold %d pushes; want %d, and at most %d of each", namespace, len(findings), held, want, maxPrefetch)
			}
		}
		var once sync.Once
		f.writing = func(*v1alpha1.ImageVerification) error {
			once.Do(func() { took[triggers] = heap() - took[triggers] })
			return errAway
		}
		took[triggers] = heap()
		f.changed(state)
	}
	if took[many] > 2*took[2] {
		t.Errorf("a stream of %d items takes %d KiB for %d triggers, and %d KiB for 2", items, took[many]>>10, many, took[2]>>10)
	}
}

// A namespace may have any number of triggers. What a change of one costs depends on those that
// count, and so does what the receiver takes to start.
func TestAChangeOfATriggerCostsNoLookAtAll(t *testing.T) {
	bytes := func(triggers int) uint64 {
		set := NewTriggers(func(*v1alpha1.ImageTrigger, error) {})
		var before, after runtime.MemStats
		for n := range triggers {
			one := streamsOf("shop")
			one.Name = fmt.Sprintf("t%05d", n)
			if n == triggers-1 {
				runtime.ReadMemStats(&before)
			}
			set.Handler().OnAdd(one, true)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := bytes(2*selector.MaxTriggers), bytes(20*selector.MaxTriggers); many > 2*few {
		t.Errorf("one more takes %d bytes beside many triggers, and %d beside few", many, few)
	}
}
