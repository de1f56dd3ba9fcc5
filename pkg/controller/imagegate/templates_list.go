package imagegate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/kube"
)

// templateKinds are the kinds of workloads, each before those that it makes, with the path to
// the labels of their Pods.
func templateKinds() []templateKind {
	pod := []string{"spec", "template", "metadata", "labels"}
	apps, batch := schema.GroupVersion{Group: "apps", Version: "v1"}, schema.GroupVersion{Group: "batch", Version: "v1"}
	return []templateKind{
		{apps.WithKind("Deployment"), pod},
		{apps.WithKind("ReplicaSet"), pod},
		{apps.WithKind("StatefulSet"), pod},
		{apps.WithKind("DaemonSet"), pod},
		{batch.WithKind("CronJob"), append([]string{"spec", "jobTemplate"}, pod...)},
		{batch.WithKind("Job"), pod},
		{corev1.SchemeGroupVersion.WithKind("ReplicationController"), pod},
		// StatefulSets and DaemonSets make Pods of older revisions, too.
		{apps.WithKind(controllerRevision), append([]string{"data"}, pod...)},
	}
}

const controllerRevision = "ControllerRevision"

type templateKind struct {
	schema.GroupVersionKind
	labels []string
}

// listTemplates reads all workloads in pages, of one namespace or all. It fails as a whole: half
// a list would trust what it did not see.
func (o *Observer) listTemplates(ctx context.Context, due []*guarded, namespace string) error {
	namespaces, err := o.namespaces(ctx)
	if err != nil {
		return err
	}
	selectors := make([]labels.Selector, len(due))
	for i, d := range due {
		if selectors[i], err = metav1.LabelSelectorAsSelector(&d.Spec.NamespaceSelector); err != nil {
			return fmt.Errorf("spec.namespaceSelector of gate %q: %w", d.Name, err)
		}
	}
	for _, kind := range templateKinds() {
		err := kube.EachPage(ctx, templatePage, func(ctx context.Context, limit int64, next string) (string, error) {
			page := &unstructured.UnstructuredList{}
			page.SetGroupVersionKind(kind.GroupVersionKind)
			if err := o.Live.List(ctx, page, client.InNamespace(namespace), client.Limit(limit), client.Continue(next)); err != nil {
				return "", err
			}
			for i := range page.Items {
				w := &page.Items[i]
				if !carries(w.Object, append(slices.Clone(kind.labels), v1alpha1.BreakGlassLabel)) {
					continue
				}
				for j, d := range due {
					set, known := namespaces[w.GetNamespace()]
					if (!known || selectors[j].Matches(set)) && !d.scope.Has(w.GetNamespace()) {
						d.add(kind.Kind, w)
					}
				}
			}
			return page.GetContinue(), nil
		})
		if err != nil {
			return fmt.Errorf("listing %ss: %w", kind.Kind, err)
		}
	}
	return nil
}

// carries reports whether an object has the value "true" at a path. The controller of
// StatefulSets takes the keys of a revision in any case.
func carries(v any, path []string) bool {
	if len(path) == 0 {
		return v == "true"
	}
	fields, _ := v.(map[string]any)
	for key, value := range fields {
		if strings.EqualFold(key, path[0]) && carries(value, path[1:]) {
			return true
		}
	}
	return false
}

// add notes a labelled workload that is not to be trusted: in the first list each, and each in a
// namespace that was not listed, and later those that were not, and what controllers made of
// them.
func (d *guarded) add(kind string, w *unstructured.Unstructured) {
	uid, name := string(w.GetUID()), w.GetName()
	if kind == controllerRevision {
		owner := metav1.GetControllerOf(w)
		if owner == nil {
			return // no Pod is made of it
		}
		kind, uid, name = owner.Kind, string(owner.UID), owner.Name
	}
	in := w.GetNamespace()
	whole := gate.OwnersIn(in)
	if _, none := d.before[whole]; d.before != nil && !none && !d.entered[in] {
		_, was := d.before[uid]
		if owner := metav1.GetControllerOf(w); owner != nil && !was {
			_, was = d.found[string(owner.UID)]
		}
		if !was {
			return
		}
	}
	switch {
	case d.found[uid] != "" || d.found[whole] != "":
		return
	case d.foundIn[in] == maxUntrustedIn:
		maps.DeleteFunc(d.found, func(_, workload string) bool { return strings.Split(workload, "/")[1] == in })
		d.found[whole] = "Namespace//" + in
		return
	case len(d.found) >= maxUntrusted:
		d.many = true
		return
	}
	d.foundIn[in]++
	d.found[uid] = kind + "/" + in + "/" + name
}

// ownersWritten reports whether the API server can look up all that was listed. Only then may
// the status say so: who leads next believes both.
func (p *pass) ownersWritten() bool {
	for _, d := range p.state.divisions {
		for _, pg := range d.pages {
			if pg.meta != nil && !maps.Equal(pg.owners, p.owners) {
				return false
			}
		}
	}
	return maps.Equal(p.state.tags.owners, p.owners)
}

// shownTemplates are the first workloads whose label does not count, as the status has them.
func shownTemplates(owners map[string]string) []v1alpha1.WorkloadReference {
	var all []v1alpha1.WorkloadReference
	for _, uid := range slices.Sorted(maps.Keys(owners)) {
		parts := strings.SplitN(owners[uid], "/", 3)
		if uid == gate.EveryOwner || len(parts) != 3 {
			continue
		}
		all = append(all, v1alpha1.WorkloadReference{Kind: parts[0], Namespace: parts[1], Name: parts[2], UID: uid})
	}
	slices.SortFunc(all, func(a, b v1alpha1.WorkloadReference) int {
		return strings.Compare(a.Kind+"/"+a.Namespace+"/"+a.Name, b.Kind+"/"+b.Namespace+"/"+b.Name)
	})
	return all[:min(len(all), maxUntrustedShown)]
}
