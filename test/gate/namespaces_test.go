package gate

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// labelsTo changes a namespace's labels, for show, by the resource or a subresource.
func labelsTo(t *testing.T, u user, namespace, subresource string, labels map[string]string) *answer {
	t.Helper()
	return ask(t, func(ctx context.Context) error {
		var ns corev1.Namespace
		if err := u.Get(ctx, types.NamespacedName{Name: namespace}, &ns); err != nil {
			return err
		}
		ns.Labels = labels
		if subresource == "" {
			return u.Update(ctx, &ns, client.DryRunAll)
		}
		return u.SubResource(subresource).Update(ctx, &ns, client.DryRunAll)
	})
}

// Leaving a gate's selection takes the right; everything else of a namespace may change.
func TestLeavingTheSelection(t *testing.T) {
	beside(t)
	selectors := map[string]struct {
		selector  metav1.LabelSelector
		in, out   map[string]string
		alsoInner map[string]string
	}{
		"matchLabels": {metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod", "b": "c"}},
			map[string]string{"env": "prod", "b": "c"}, map[string]string{"env": "prod"}, map[string]string{"env": "prod", "b": "c", "d": "e"}},
		"In": {expressions("env", metav1.LabelSelectorOpIn, "prod", "stage"),
			map[string]string{"env": "prod"}, map[string]string{"env": "dev"}, map[string]string{"env": "stage"}},
		"NotIn": {expressions("env", metav1.LabelSelectorOpNotIn, "dev", "test"),
			map[string]string{"env": "prod"}, map[string]string{"env": "dev"}, map[string]string{}},
		"Exists": {expressions("env", metav1.LabelSelectorOpExists),
			map[string]string{"env": "prod"}, map[string]string{}, map[string]string{"env": ""}},
		"DoesNotExist": {expressions("env", metav1.LabelSelectorOpDoesNotExist),
			map[string]string{}, map[string]string{"env": "x"}, map[string]string{"a": "b"}},
	}
	for name, s := range selectors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := "m" + rand.String(6)
			with := func(labels map[string]string) map[string]string {
				all := map[string]string{mark: "x"}
				for k, v := range labels {
					all[k] = v
				}
				return all
			}
			// The mark keeps the gate to this test's namespaces.
			s.selector.MatchExpressions = append(s.selector.MatchExpressions, metav1.LabelSelectorRequirement{Key: mark, Operator: metav1.LabelSelectorOpExists})
			g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
				g.Spec.NamespaceSelector = s.selector
				in.Excluded = []string{"excluded-" + mark}
				in.ExcludedPrefixes = []string{"platform-"}
			})
			g.label(t, with(s.in))
			inner, outer, excluded, platform := "in-"+mark, "out-"+mark, "excluded-"+mark, "platform-"+mark
			for _, n := range []string{inner, excluded, platform} {
				g.makeNamespace(t, n, with(s.in))
			}
			g.makeNamespace(t, outer, with(s.out))
			g.enforceNamespaces(t, inner, with(s.out))
			developer := asDeveloper(t)
			for _, subresource := range []string{"", "status", "finalize"} {
				expect := func(what string, u user, namespace string, labels map[string]string, by string) {
					t.Helper()
					if a := labelsTo(t, u, namespace, subresource, labels); a.refusedBy(t) != g.named(by) {
						t.Errorf("%s by %q: refused by %q, want %q: %v", what, subresource, a.refusedBy(t), by, a.err)
					}
				}
				expect("leaving", developer, inner, with(s.out), "namespaces")
				expect("leaving without any label", developer, inner, nil, "namespaces")
				expect("leaving with the right", g.admin, inner, with(s.out), "")
				expect("staying", developer, inner, with(s.alsoInner), "")
				expect("staying outside", developer, outer, map[string]string{"other": "x"}, "")
				expect("entering", developer, outer, with(s.in), "")
				expect("leaving what is excluded", developer, excluded, with(s.out), "")
				expect("leaving what is excluded by a prefix", developer, platform, with(s.out), "")
			}
		})
	}
}

func expressions(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelector {
	return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
}

// label gives the gated namespace other labels.
func (g *gated) label(t *testing.T, labels map[string]string) {
	t.Helper()
	var ns corev1.Namespace
	if err := g.admin.Get(t.Context(), types.NamespacedName{Name: g.namespace}, &ns); err != nil {
		t.Fatal(err)
	}
	ns.Labels = labels
	if err := g.admin.Update(t.Context(), &ns); err != nil {
		t.Fatal(err)
	}
}

// enforceNamespaces puts the gate into force and waits for its policy of namespaces.
func (g *gated) enforceNamespaces(t *testing.T, inner string, out map[string]string) {
	t.Helper()
	g.apply(t)
	g.await(t, "the policy of namespaces", func() error {
		if a := labelsTo(t, asDeveloper(t), inner, "", out); a.err == nil {
			return errAdmitted
		}
		return nil
	})
}

// restrict makes a Pod one that the Pod security standard restricted admits, which Revet's own
// namespace enforces once its manifests are applied.
func restrict(p *corev1.Pod) {
	yes, no := true, false
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
	}
}

// Namespaces are excluded by their names in the policies, however they are labelled and
// whenever.
func TestExcludedNamespaces(t *testing.T) {
	beside(t)
	mark := rand.String(6)
	excluded := "excluded-" + mark
	g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
		g.Spec.Trust = append(g.Spec.Trust, v1alpha1.TrustedTrigger{Namespace: "trusted-" + mark, Trigger: "t"})
		in.Excluded, in.ExcludedPrefixes = []string{excluded}, []string{"platform-" + mark, "knative-" + mark}
	})
	all := []string{revetNamespace, "kube-system", "kube-public", "kube-node-lease", excluded, "trusted-" + mark, "platform-" + mark, "knative-" + mark + "-x"}
	for _, n := range all {
		g.makeNamespace(t, n, nil)
	}
	near := "near-platform-" + mark
	g.makeNamespace(t, near, nil)
	g.enforce(t, content()...)
	in := func(namespace string) *answer {
		p := podOf("nginx:1", ref(unknownHex))
		p.Namespace = namespace
		restrict(p)
		return ask(t, func(ctx context.Context) error { return g.admin.Create(ctx, p, client.DryRunAll) })
	}
	gatedLabel := []byte(`{"metadata":{"labels":{"gated":"` + g.namespace + `"}}}`)
	for _, n := range append(all, near) {
		if a := in(n); a.err != nil {
			t.Errorf("%s, which is not labelled: %v", n, a.err)
		}
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}
		if err := g.admin.Patch(t.Context(), ns, client.RawPatch(types.MergePatchType, gatedLabel)); err != nil {
			t.Fatal(err)
		}
	}
	g.await(t, "the label of "+near, func() error {
		if in(near).err == nil {
			return errAdmitted
		}
		return nil
	})
	for _, n := range all {
		if a := in(n); a.err != nil {
			t.Errorf("%s: %v", n, a.err)
		}
	}
}
