package node

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var errTest = errors.New("not yet")

func TestWaitingEndsWithSuccessATimeOutOrAPermanentError(t *testing.T) {
	for _, row := range []struct {
		name    string
		answers []error // the last one repeats
		timeout time.Duration
		want    error
	}{
		{"success at once", []error{nil}, testTimeout, nil},
		{"success after a while", []error{errTest, errTest, nil}, testTimeout, nil},
		{"the last error when time is up", []error{errTest}, 1, errTest},
		{"the time-out as well", []error{errTest}, 1, context.DeadlineExceeded},
		{"a permanent error at once", []error{permanent{errTest}}, testTimeout, errTest},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), row.timeout)
			defer cancel()
			asked := 0
			err := waiter{}.await(ctx, "a test", func(context.Context) error {
				answer := row.answers[min(asked, len(row.answers)-1)]
				asked++
				return answer
			})
			if !errors.Is(err, row.want) {
				t.Errorf("error %v, want %v", err, row.want)
			}
		})
	}
}

func TestANodeIsReadyWhenItSaysSoAndPodsMayRun(t *testing.T) {
	condition := func(status corev1.ConditionStatus) corev1.NodeStatus {
		return corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}}
	}
	for _, row := range []struct {
		name  string
		node  corev1.Node
		ready bool
	}{
		{"a node that says nothing", corev1.Node{}, false},
		{"a node that says no", corev1.Node{Status: condition(corev1.ConditionFalse)}, false},
		{"a node that does not know", corev1.Node{Status: condition(corev1.ConditionUnknown)}, false},
		{"a node that says yes", corev1.Node{Status: condition(corev1.ConditionTrue)}, true},
		{"a node that says yes and is tainted", corev1.Node{
			Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: corev1.TaintNodeNotReady}}},
			Status: condition(corev1.ConditionTrue),
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := nodeReady(&row.node); (err == nil) != row.ready {
				t.Errorf("error %v, want ready: %t", err, row.ready)
			}
		})
	}
}
