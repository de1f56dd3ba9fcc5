package imagetrigger

import (
	"context"
	"fmt"
	"sort"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Inspect returns the trigger with the status that a pass would write now, and the
// warnings that the pass would record. It writes nothing. Of the options it needs
// Sinks, Streams and Now; without Runs it does not look for runs that do not appear, and without
// Cached not at the other triggers of the namespace.
func Inspect(ctx context.Context, o Options, trigger *v1alpha1.ImageTrigger) (*v1alpha1.ImageTrigger, string, error) {
	r := &Reconciler{Options: o, counted: map[string]counted{}}
	seen := compile(trigger)
	if err := r.count(ctx, trigger, &seen); err != nil {
		return nil, "", err
	}
	next, err := r.judge(ctx, trigger, &seen, newMemory(trigger.UID))
	if err != nil {
		return nil, "", err
	}
	return next, warningsOf(seen), nil
}

// SelectedNamespaces returns the namespaces whose ImageStreams one of the trigger's selectors
// selects, in order. All holds the labels of each namespace.
func SelectedNamespaces(trigger *v1alpha1.ImageTrigger, all map[string]map[string]string) ([]string, error) {
	var selected []string
	for name, set := range all {
		for i := range trigger.Spec.Images {
			streams := trigger.Spec.Images[i].ImageStreams
			if streams == nil {
				continue
			}
			matches := name == trigger.Namespace
			if streams.NamespaceSelector != nil {
				s, err := metav1.LabelSelectorAsSelector(streams.NamespaceSelector)
				if err != nil {
					return nil, fmt.Errorf("spec.images[%d].imageStreams.namespaceSelector: %w", i, err)
				}
				matches = s.Matches(labels.Set(set))
			}
			if matches {
				selected = append(selected, name)
				break
			}
		}
	}
	sort.Strings(selected)
	return selected, nil
}
