package imagetrigger

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

// countingStreams says that an account may get what open names, and counts the questions.
type countingStreams struct {
	*fakeCluster
	open  map[string]bool
	asked int
}

func (c *countingStreams) MayGet(_ context.Context, _ source.Account, namespace, name string) (bool, error) {
	c.asked++
	return c.open[namespace+"/"+name], nil
}

// Property: one pass asks about the streams of one trigger a bounded number of questions, however
// many namespaces and streams it names, and takes what it did not ask for not known.
func TestOnePassAsksFewQuestionsAboutStreams(t *testing.T) {
	const last = "s255"
	for _, test := range []struct {
		name              string
		namespaces, names int
		open              map[string]bool
		visible, notAsked int
		status            metav1.ConditionStatus
	}{
		{"many of both", 120, 256, nil, 0, 100, metav1.ConditionFalse},
		{"many of both, of which one is seen", 120, 256, map[string]bool{"n007/": true}, 1, 99, metav1.ConditionTrue},
		{"all names of one namespace", 1, 256, map[string]bool{"n000/" + last: true}, 1, 0, metav1.ConditionTrue},
		{"all names of one namespace, which is closed", 1, 256, nil, 0, 0, metav1.ConditionFalse},
		{"few names of many namespaces", 100, 2, map[string]bool{"n099/s1": true}, 1, 0, metav1.ConditionTrue},
	} {
		t.Run(test.name, func(t *testing.T) {
			trigger := testTrigger()
			names := make([]string, test.names)
			for i := range names {
				names[i] = fmt.Sprint("s", i)
			}
			trigger.Spec.Images[0].ImageStreams = &v1alpha1.ImageStreamSelector{
				Names: names, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}
			f := newFixture(t, trigger)
			streams := &countingStreams{fakeCluster: f.cluster, open: test.open}
			f.Streams, f.cluster.namespaces = streams, map[string]map[string]string{}
			for i := range test.namespaces {
				f.cluster.namespaces[fmt.Sprintf("n%03d", i)] = map[string]string{"tier": "prod"}
			}
			seen := compile(trigger)
			got, err := f.observeRights(t.Context(), trigger, &seen)
			if err != nil {
				t.Fatal(err)
			}
			if most := maxRightQuestions + 1; streams.asked > most {
				t.Errorf("%d questions, want at most %d", streams.asked, most)
			}
			if hidden := min(test.namespaces, maxNamespaces) - test.visible - test.notAsked; got.visible != test.visible || got.notAsked != test.notAsked || len(got.hidden) != hidden {
				t.Errorf("%d are visible, %d hidden and %d not known; want %d, %d and %d", got.visible, len(got.hidden), got.notAsked, test.visible, hidden, test.notAsked)
			}
			decideRights(trigger, got, f.Now())
			for _, c := range trigger.Status.Conditions {
				if c.Type == v1alpha1.ConditionAuthorized && c.Status != test.status {
					t.Errorf("Authorized is %s, %q; want %s", c.Status, c.Message, test.status)
				}
			}
		})
	}
}
