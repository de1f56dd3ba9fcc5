package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// asPromised is a case in which two entries waited and all is well.
func asPromised(change func(*told, map[string]said, *TroubleResult)) TroubleResult {
	began := time.Unix(1000, 0)
	cause := said{"SinkNotFound", "create it"}
	t := newTold("SinkNotFound", began)
	t.triggerSays(cause, began.Add(time.Second))
	t.triggerSays(cause, began.Add(9*time.Second))
	t.entrySays("a", said{"Queued", "it waits"}, began.Add(time.Second))
	t.entrySays("a", cause, began.Add(2*time.Second))
	t.entrySays("b", cause, began.Add(3*time.Second))
	waiting := map[string]said{"a": cause, "b": cause}
	r := TroubleResult{Case: Listener, Settled: true, Settle: 3 * time.Second, told: t, Account: accountOf(settled())}
	change(t, waiting, &r)
	t.ends(waiting)
	return r
}

// What is not said, or said wrongly, has to show: it is what the play is for.
func TestTroubleTellsWhatIsNotAsPromised(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*told, map[string]said, *TroubleResult)
		want   []string
	}{
		{"all is as promised", func(*told, map[string]said, *TroubleResult) {}, nil},
		{"the trigger says nothing", func(t *told, _ map[string]said, _ *TroubleResult) { t.trigger = said{} },
			[]string{"the trigger never said SinkNotFound"}},
		{"the trigger says something else as well", func(t *told, _ map[string]said, _ *TroubleResult) {
			t.triggerSays(said{"SinkUnreachable", "no"}, time.Unix(1020, 0))
			t.triggerSays(said{"SinkUnreachable", "no"}, time.Unix(1021, 0))
		}, []string{"the trigger said SinkUnreachable"}},
		{"an entry never says it", func(_ *told, waiting map[string]said, _ *TroubleResult) {
			waiting["c"] = said{"Unconfirmed", "see the log"}
		}, []string{`entry c said "Unconfirmed" when it was mended`, "entry c waited and never said SinkNotFound"}},
		{"an entry says it without words", func(t *told, waiting map[string]said, _ *TroubleResult) {
			t.entrySays("c", said{"SinkNotFound", ""}, time.Unix(1005, 0))
			waiting["c"] = said{"SinkNotFound", ""}
		}, []string{"entry c waited and never said SinkNotFound"}},
		{"an entry says something else in the end", func(_ *told, waiting map[string]said, _ *TroubleResult) {
			waiting["b"] = said{"Queued", "it waits"}
		}, []string{`entry b said "Queued" when it was mended`}},
		{"nothing waited", func(_ *told, waiting map[string]said, _ *TroubleResult) { clear(waiting) },
			[]string{"no entry waited: nothing was put to the test"}},
		{"it did not settle", func(_ *told, _ map[string]said, r *TroubleResult) { r.Settled, r.Settle = false, 121*time.Second },
			[]string{"it had not settled 121 s after the mending"}},
		{"a program was restarted", func(_ *told, _ map[string]said, r *TroubleResult) { r.Restarted = []string{"controller-1"} },
			[]string{"controller-1 was restarted"}},
		{"a push was lost", func(_ *told, _ map[string]said, r *TroubleResult) { r.Account.Lost = []string{"it has no run"} },
			[]string{"it has no run"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := asPromised(test.change)
			if diff := cmp.Diff(test.want, r.Faults(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if failed := (Result{Settled: true, Troubles: []TroubleResult{r}}).Failed(); failed != (test.want != nil) {
				t.Errorf("failed is %t", failed)
			}
		})
	}
}

func TestTroubleTellsWhenTheReasonWasSaidFirst(t *testing.T) {
	r := asPromised(func(*told, map[string]said, *TroubleResult) {})
	got := []time.Duration{r.told.triggerAfter, r.told.entryAfter}
	if diff := cmp.Diff([]time.Duration{time.Second, 2 * time.Second}, got); diff != "" {
		t.Errorf("first said after (-want +got):\n%s", diff)
	}
}

func TestAccountOfACaseIsOfItsDigestsAlone(t *testing.T) {
	got := accountOf(settled().of(map[string]bool{"sha256:b": true}))
	want := Account{Way: "revet", Pushes: 1, Shown: 1, Digests: 1, Covered: 1, Runs: 1, Recovered: 1, States: map[string]int{"Passed/Passed": 1}}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

func TestCasesAreThoseOfTheListInTheOrderOfThePlay(t *testing.T) {
	got, err := parseCases("class, listener")
	if diff := cmp.Diff([]string{Listener, Class}, got); diff != "" || err != nil {
		t.Errorf("cases (-want +got), %v:\n%s", err, diff)
	}
	if _, err := parseCases("listener sink"); err == nil {
		t.Error("a case that there is not was accepted")
	}
}

func TestSteadyPushesAreOfNewImagesAtEvenTimes(t *testing.T) {
	got := steady(Shape{Pushes: 4, Streams: 2, Tags: 2}, 8, 8*time.Second)
	want := []Push{
		{At: 0, Stream: 0, Tag: 0, Image: 9, Kind: New}, {At: 2 * time.Second, Stream: 1, Tag: 0, Image: 10, Kind: New},
		{At: 4 * time.Second, Stream: 0, Tag: 1, Image: 11, Kind: New}, {At: 6 * time.Second, Stream: 1, Tag: 1, Image: 12, Kind: New},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
}
