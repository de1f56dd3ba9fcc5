package imagegate

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// censusCounts is how long a list of Pods says what runs.
const censusCounts = 5 * time.Minute

// allVerified is the condition AllRunningVerified. It is True only after every page of all
// Pods was read within five minutes, and judged by the given generation of the gate's spec.
func (r RunningReport) allVerified(generation int64, now time.Time) (status metav1.ConditionStatus, reason, message string) {
	unknown := func(message string) (metav1.ConditionStatus, string, string) {
		return metav1.ConditionUnknown, v1alpha1.ReasonNotObserved, cut(message)
	}
	switch s := r.Running; {
	case r.Problem != "":
		return unknown("what runs is not known, as listing it failed, which is tried again: " + r.Problem)
	case s.ObservedAt == nil || r.Generation != generation:
		return unknown("the Pods in the gated namespaces have not been listed for this spec yet")
	case now.Sub(s.ObservedAt.Time) > censusCounts:
		return unknown(fmt.Sprintf("the Pods in the gated namespaces were listed last at %s, more than %s ago",
			s.ObservedAt.UTC().Format(time.RFC3339), censusCounts))
	case s.Unverified > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonUnverifiedRunning, fmt.Sprintf("%d of the %d Pods that run are not verified "+
			"(%d failed, %d unknown, %d expired, %d by break-glass), and mode Deny would keep %d workloads from starting Pods again; "+
			"list them with \"kubectl revet coverage --running\"",
			s.Unverified, s.Pods, s.Failed, s.Unknown, s.Expired, s.BreakGlass, r.Refused)
	default:
		return metav1.ConditionTrue, v1alpha1.ReasonAllVerified, fmt.Sprintf("all %d Pods in the gated namespaces are verified or exempt", s.Pods)
	}
}

// until is when a list of Pods stops saying what runs; false if there is none.
func (r RunningReport) until() (time.Time, bool) {
	if r.Running.ObservedAt == nil {
		return time.Time{}, false
	}
	return r.Running.ObservedAt.Add(censusCounts), true
}
