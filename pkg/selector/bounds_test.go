package selector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
)

// many returns n different strings of a length.
func many(n, length int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%0*d", length, i)
	}
	return all
}

// labelled returns a selector of n labels, and one expression with some values.
func labelled(n, values int) *metav1.LabelSelector {
	s := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for _, name := range many(n, 3) {
		s.MatchLabels["l"+name] = "x"
	}
	if values > 0 {
		s.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "x", Operator: metav1.LabelSelectorOpNotIn, Values: many(values, 3)}}
	}
	return s
}

// What a trigger's selectors cost is bounded, and a refusal names the field and the bound.
func TestSelectorsAreBounded(t *testing.T) {
	all := v1alpha1.ImageStreamSelector{}
	named := func(n, length int) v1alpha1.ImageSelector {
		return streams(v1alpha1.ImageStreamSelector{Names: many(n, length)})
	}
	wide := func(n, values int) v1alpha1.ImageSelector {
		return streams(v1alpha1.ImageStreamSelector{NamespaceSelector: labelled(n, values)})
	}
	times := func(n int, in v1alpha1.ImageSelector) (all []v1alpha1.ImageSelector) {
		for range n {
			all = append(all, in)
		}
		return all
	}
	excluding := streams(all)
	excluding.Tags.Exclude = many(64, 20)
	for _, test := range []struct {
		name   string
		images []v1alpha1.ImageSelector
		field  string // empty: it is accepted
		says   string
	}{
		{"as many patterns as there may be", times(4, named(64, 10)), "", ""},
		{"one more pattern", append(times(4, named(64, 10)), streams(all, "v*")), "spec.images[4].tags.include[0]", "at most 256 patterns"},
		{"patterns that exclude count too", append(times(4, excluding), repository("r.example/x")), "spec.images[4].repository", "at most 256 patterns"},
		{"many bytes", append(times(1, named(64, 250)), streams(all, many(32, 10)...)), "", ""},
		{"too many bytes", times(2, named(64, 250)), "spec.images[1].imageStreams.names[1]", "at most 16384 bytes of patterns"},
		{"a pattern of wildcards", []v1alpha1.ImageSelector{streams(all, strings.Repeat("*a", 16))}, "", ""},
		{"a pattern of too many wildcards", []v1alpha1.ImageSelector{streams(all, strings.Repeat("*a", 16)+"?")}, "spec.images[0].tags.include[0]", "17 wildcards"},
		{"a repository of too many wildcards", []v1alpha1.ImageSelector{repository("r.example" + strings.Repeat("/**/x", 17))}, "spec.images[0].repository", "17 wildcards"},
		{"as many labels as there may be", []v1alpha1.ImageSelector{wide(16, 0)}, "", ""},
		{"one more label", []v1alpha1.ImageSelector{wide(16, 1)}, "spec.images[0].imageStreams.namespaceSelector", "has 17"},
		{"one more label of a stream", []v1alpha1.ImageSelector{streams(v1alpha1.ImageStreamSelector{Selector: labelled(17, 0)})}, "spec.images[0].imageStreams.selector", "has 17"},
		{"many labels in all", times(5, wide(16, 0)), "spec.images[4].imageStreams.namespaceSelector", "at most 64 labels"},
		{"as many values as there may be", []v1alpha1.ImageSelector{wide(0, 256)}, "", ""},
		{"one more value", append([]v1alpha1.ImageSelector{wide(0, 256)}, wide(0, 1)), "spec.images[1].imageStreams.namespaceSelector", "at most 256 values"},
		{"too many entries", times(33, repository("r.example/x")), "spec.images", "at most 32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := selector.Compile(trigger(test.images...))
			var field *selector.FieldError
			switch {
			case test.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.says == "":
			case !errors.As(err, &field) || field.Field != test.field || !strings.Contains(err.Error(), test.says):
				t.Errorf("error %v; want one of %s that says %q", err, test.field, test.says)
			}
		})
	}
}

// Of a namespace's triggers the oldest count; those of others, and those that are deleted, take
// no place.
func TestTheOldestTriggersCount(t *testing.T) {
	var all []v1alpha1.ImageTrigger
	add := func(namespace, name string, age time.Duration, deleted bool) *v1alpha1.ImageTrigger {
		one := v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(created.Add(-age))}}
		if deleted {
			one.DeletionTimestamp = &metav1.Time{Time: created}
		}
		all = append(all, one)
		return &one
	}
	for n := range selector.MaxTriggers - 1 {
		add("demo", fmt.Sprintf("old-%d", n), time.Hour, false)
		add("other", fmt.Sprintf("other-%d", n), time.Hour, false)
		add("demo", fmt.Sprintf("gone-%d", n), time.Hour, true)
	}
	last, first, second := add("demo", "last", 0, false), add("demo", "a", 0, false), add("demo", "b", time.Minute, false)
	for _, test := range []struct {
		trigger *v1alpha1.ImageTrigger
		counts  bool
	}{{second, true}, {first, false}, {last, false}, {&all[0], true}, {&all[1], true}} {
		err := selector.Counts(test.trigger, selector.LastCounted(test.trigger.Namespace, all))
		var excess *selector.Excess
		if errors.As(err, &excess) == test.counts {
			t.Errorf("%s: %v; want it to count: %t", test.trigger.Name, err, test.counts)
		}
	}
}
