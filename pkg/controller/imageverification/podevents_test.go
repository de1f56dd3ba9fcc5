package imageverification

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// manyEvents shows as many Events as are asked for, each later than those before, and more after
// them, up to ten times as many as are read.
type manyEvents struct {
	client.Reader
	largest, shown int64
}

func (e *manyEvents) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	e.largest = max(e.largest, o.Limit)
	events := list.(*corev1.EventList)
	for range o.Limit {
		e.shown++
		events.Items = append(events.Items, corev1.Event{Message: fmt.Sprint(e.shown),
			LastTimestamp: metav1.NewTime(time.Unix(e.shown, 0))})
	}
	if e.shown < 10*maxEvents {
		list.SetContinue("more")
	}
	return nil
}

// Property: whoever edits a namespace makes any number of Events of a Pod there, which are read in
// pages and not without end. What was read tells of the trouble.
func TestEventsOfAPodAreReadInPagesAndNotWithoutEnd(t *testing.T) {
	events := &manyEvents{}
	got := (&Reconciler{live: events}).podTrouble(t.Context(), &pass{log: zap.NewNop()}, "pod")
	if events.largest == 0 || events.largest > eventsPage || events.shown > maxEvents+eventsPage {
		t.Errorf("%d Events at once and %d in all, want at most %d and %d", events.largest, events.shown, eventsPage, maxEvents+eventsPage)
	}
	if want := fmt.Sprint(events.shown); got != want {
		t.Errorf("the trouble is %q, want the latest that was read: %q", got, want)
	}
}
