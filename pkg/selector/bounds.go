package selector

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The bounds on what one trigger's selectors may hold. They bound what it costs to hold the
// trigger against an event, which is the event of anybody where the trigger selects other
// namespaces.
const (
	maxEntries = 32
	// maxPatterns and maxPatternBytes count the patterns of names, tags and repositories.
	maxPatterns     = 256
	maxPatternBytes = 16 << 10
	// maxWildcards counts the * and ? of one pattern, with ** as one.
	maxWildcards = 16
	// maxRequirements counts the labels and expressions of one label selector, and
	// maxAllRequirements and maxValues those of all of them, and their values.
	maxRequirements    = 16
	maxAllRequirements = 64
	maxValues          = 256
)

// MaxTriggers is how many triggers of one namespace count: the oldest.
const MaxTriggers = 100

// Excess is the error of a trigger that does not count, as its namespace has too many.
type Excess struct{ Namespace string }

func (e *Excess) Error() string {
	return fmt.Sprintf("namespace %q has more than %d triggers, and only the oldest %d count; delete others, or let one trigger select more in its spec.images",
		e.Namespace, MaxTriggers, MaxTriggers)
}

// Older orders the triggers of one namespace: the first MaxTriggers count.
func Older(a, b *v1alpha1.ImageTrigger) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
}

// LastCounted returns the youngest of the triggers of a namespace that counts; nil if all do.
// Those that are being deleted do not count, and take no place.
func LastCounted(namespace string, all []v1alpha1.ImageTrigger) *v1alpha1.ImageTrigger {
	if len(all) <= MaxTriggers {
		return nil
	}
	var live []*v1alpha1.ImageTrigger
	for i := range all {
		if all[i].Namespace == namespace && all[i].DeletionTimestamp == nil {
			live = append(live, &all[i])
		}
	}
	if len(live) <= MaxTriggers {
		return nil
	}
	slices.SortFunc(live, Older)
	return live[MaxTriggers-1]
}

// Counts returns an *Excess for a trigger that does not count, given the last one of its namespace
// that does, which may be nil.
func Counts(t, last *v1alpha1.ImageTrigger) error {
	if last != nil && Older(last, t) < 0 {
		return &Excess{t.Namespace}
	}
	return nil
}

// sum is what a trigger's selectors hold so far.
type sum struct {
	patterns, bytes, requirements, values int
}

// tooLarge says which bound a field goes over.
func tooLarge(field string, most int, what string) error {
	return &FieldError{field, fmt.Errorf("the trigger's selectors may have at most %d %s; select with fewer, for example by a wildcard or a label, or divide the trigger", most, what)}
}

// pattern counts a pattern of a field.
func (s *sum) pattern(field, pattern string) error {
	s.patterns++
	s.bytes += len(pattern)
	switch wildcards := strings.Count(strings.ReplaceAll(pattern, anySegments, "*"), "*") + strings.Count(pattern, "?"); {
	case s.patterns > maxPatterns:
		return tooLarge(field, maxPatterns, "patterns")
	case s.bytes > maxPatternBytes:
		return tooLarge(field, maxPatternBytes, "bytes of patterns")
	case wildcards > maxWildcards:
		return &FieldError{field, fmt.Errorf("pattern %q has %d wildcards; write at most %d", image.Cut(pattern, 64), wildcards, maxWildcards)}
	}
	return nil
}

// list counts a list of patterns.
func (s *sum) list(field string, patterns []string) error {
	for i, p := range patterns {
		if err := s.pattern(fmt.Sprintf("%s[%d]", field, i), p); err != nil {
			return err
		}
	}
	return nil
}

// labels counts a label selector.
func (s *sum) labels(field string, in *metav1.LabelSelector) error {
	if in == nil {
		return nil
	}
	requirements := len(in.MatchLabels) + len(in.MatchExpressions)
	s.requirements += requirements
	s.values += len(in.MatchLabels)
	for i := range in.MatchExpressions {
		s.values += len(in.MatchExpressions[i].Values)
	}
	switch {
	case requirements > maxRequirements:
		return &FieldError{field, fmt.Errorf("the label selector has %d labels and expressions; write at most %d", requirements, maxRequirements)}
	case s.requirements > maxAllRequirements:
		return tooLarge(field, maxAllRequirements, "labels and expressions")
	case s.values > maxValues:
		return tooLarge(field, maxValues, "values of labels")
	}
	return nil
}

// bound returns a FieldError for selectors that are larger than a trigger's may be. It
// compiles nothing, so that it costs little for the largest that can be stored.
func bound(images []v1alpha1.ImageSelector) error {
	if len(images) > maxEntries {
		return &FieldError{"spec.images", fmt.Errorf("there are %d entries; write at most %d", len(images), maxEntries)}
	}
	var s sum
	for i := range images {
		field, in := fmt.Sprintf("spec.images[%d]", i), &images[i]
		var errs []error
		if streams := in.ImageStreams; streams != nil {
			errs = append(errs, s.labels(field+".imageStreams.namespaceSelector", streams.NamespaceSelector),
				s.list(field+".imageStreams.names", streams.Names), s.labels(field+".imageStreams.selector", streams.Selector))
		}
		if in.Repository != "" {
			errs = append(errs, s.pattern(field+".repository", in.Repository))
		}
		errs = append(errs, s.list(field+".tags.include", in.Tags.Include), s.list(field+".tags.exclude", in.Tags.Exclude))
		if first := slices.IndexFunc(errs, func(err error) bool { return err != nil }); first >= 0 {
			return errs[first]
		}
	}
	return nil
}
