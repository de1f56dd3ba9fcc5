package team

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// teamLabel on a namespace says of which team it is the verification namespace. It is also
// on what belongs to that in the team's own namespaces.
const teamLabel = "revet.dev/team"

// look returns an error unless every namespace exists, is no verification namespace, and is
// no other team's. Its verification namespace either is this team's or does not exist.
func look(ctx context.Context, cl command.Cluster, name string, namespaces []string) error {
	var all corev1.NamespaceList
	if err := cl.List(ctx, &all); err != nil {
		return unseen(fmt.Errorf("listing namespaces: %w", err))
	}
	found := map[string]labels.Set{}
	for i := range all.Items {
		found[all.Items[i].Name] = all.Items[i].Labels
	}
	own := name + suffix
	if has, exists := found[own]; exists && has[teamLabel] != name {
		return fmt.Errorf("namespace %q is there already and was not made for team %q; if it is for this team, and the team cannot edit it: "+
			"kubectl label namespace %s %s=%s", own, name, own, teamLabel, name)
	}
	for _, namespace := range namespaces {
		has, exists := found[namespace]
		switch {
		case !exists:
			return fmt.Errorf("there is no namespace %q; create it first, or print without looking with --offline", namespace)
		case has[teamLabel] != "":
			return fmt.Errorf("namespace %q is where images of team %q are verified; leave it out of --namespaces", namespace, has[teamLabel])
		}
	}
	triggers, err := cl.Triggers(ctx, "")
	if err != nil {
		return unseen(err)
	}
	for i := range triggers {
		other := found[triggers[i].Namespace][teamLabel]
		if other == "" || other == name {
			continue
		}
		for _, namespace := range namespaces {
			if selects(&triggers[i], found[namespace]) {
				return fmt.Errorf("namespace %q is team %q's: ImageTrigger %q in namespace %q selects it; "+
					"leave it out of --namespaces, or print that team's manifests without it and apply them first",
					namespace, other, triggers[i].Name, triggers[i].Namespace)
			}
		}
	}
	return nil
}

// unseen adds what to do for who may not look.
func unseen(err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%w; ask as a cluster administrator, or print without looking with --offline", err)
	}
	return err
}

// selects reports whether a trigger selects ImageStreams of a namespace with these labels by
// its selectors. One that cannot be read selects nothing, as the trigger's condition says.
func selects(trigger *v1alpha1.ImageTrigger, has labels.Set) bool {
	for i := range trigger.Spec.Images {
		streams := trigger.Spec.Images[i].ImageStreams
		if streams == nil || streams.NamespaceSelector == nil {
			continue
		}
		if s, err := metav1.LabelSelectorAsSelector(streams.NamespaceSelector); err == nil && s.Matches(has) {
			return true
		}
	}
	return false
}
