package gate

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/test/rig"
)

// The rights that somebody may have in a gated namespace, besides the built-in role edit.
const (
	// onlyEdit is edit, as it is aggregated once config/ is applied.
	onlyEdit = "edit"
	// labelling may change namespaces, as many a platform lets its teams.
	labelling = "edit, and may change namespaces"
	// bypassHere has the verb bypass by a Role of the namespace, where it means nothing.
	bypassHere = "edit, and bypass in the namespace"
	// bypassing has the verb bypass on the gate.
	bypassing = "edit, may change namespaces, and bypass"
)

// What becomes of an attempt, if it is not the name of the policy that refuses it.
const (
	byRBAC   = ""
	admitted = "admitted"
)

// attempt is something that somebody tries, for show. An administrator always may.
type attempt struct {
	name string
	ask  func(context.Context, person) error
	// want says what becomes of it, by who tries.
	want map[string]string
}

// person is somebody, and who they would like to be.
type person struct {
	user
	as func(name string) user
}

// Whoever may edit a gated namespace can neither make a gate, nor change what one is made of,
// nor leave it, nor use break-glass; and it takes one right each to do so.
func TestEditDoesNotPassAGate(t *testing.T) {
	beside(t)
	for _, files := range rig.RevetManifests {
		if err := rig.Apply(t.Context(), asAdmin(t), revetNamespace, filepath.Join("../../config", files)); err != nil {
			t.Fatal(err)
		}
	}
	startAggregation(t)
	g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
		if in.MutatingServed = mutating; mutating {
			in.MutatingVersion = mutatingVersion(t)
		}
	})
	old := g.oldPod(t)
	g.enforce(t, content()...)
	people := g.people(t)
	for _, role := range []string{"edit", "admin", "view"} {
		g.expectNothingOfGates(t, role)
	}
	administrator := person{g.admin, g.impersonator(t, shared.RESTConfig())}
	for _, try := range g.attempts(t, old) {
		if err := try.ask(t.Context(), administrator); err != nil {
			t.Errorf("%s, by an administrator: %v", try.name, err)
		}
		for who, person := range people {
			a := ask(t, func(ctx context.Context) error { return try.ask(ctx, person) })
			if got := g.outcome(a); got != try.want[who] {
				t.Errorf("%s, by %s: %q, want %q: %v", try.name, who, got, try.want[who], a.err)
			}
		}
	}
}

// expectNothingOfGates holds that a built-in role grants nothing of what gates are made of, so
// that it makes no difference where it is bound.
func (g *gated) expectNothingOfGates(t *testing.T, name string) {
	t.Helper()
	var role rbacv1.ClusterRole
	if err := g.admin.Get(t.Context(), types.NamespacedName{Name: name}, &role); err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) == 0 {
		t.Errorf("%s grants nothing: it was not aggregated", name)
	}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			kind, _, _ := strings.Cut(resource, "/")
			if slices.Contains([]string{"*", "imagegates", "verifiedimages", "validatingadmissionpolicies", "mutatingadmissionpolicies"}, kind) {
				t.Errorf("%s grants %v", name, rule)
			}
		}
	}
}

// outcome says what became of an attempt: the policy that refused it, if one did.
func (g *gated) outcome(a *answer) string {
	switch {
	case a.err == nil:
		return admitted
	case !apierrors.IsForbidden(a.err):
		return a.err.Error()
	}
	if m := policyName.FindStringSubmatch(a.err.Error()); m != nil {
		return strings.TrimPrefix(m[1], g.policy(""))
	}
	return byRBAC
}

// impersonator returns how somebody asks as somebody else.
func (g *gated) impersonator(t *testing.T, of *rest.Config) func(string) user {
	return func(name string) user {
		config := rest.CopyConfig(of)
		config.Impersonate = rest.ImpersonationConfig{UserName: name}
		return as(t, config)
	}
}

// people are users with one right each, once the API server and the controller of aggregated
// roles know of it.
func (g *gated) people(t *testing.T) map[string]person {
	t.Helper()
	people := map[string]person{}
	rules := map[string][]rbacv1.PolicyRule{
		labelling: {{APIGroups: []string{""}, Resources: []string{"namespaces", "namespaces/status", "namespaces/finalize"}, Verbs: []string{"get", "update", "patch"}}},
		bypassing: {
			{APIGroups: []string{""}, Resources: []string{"namespaces", "namespaces/status", "namespaces/finalize"}, Verbs: []string{"get", "update", "patch"}},
			{APIGroups: []string{"revet.dev"}, Resources: []string{"imagegates"}, ResourceNames: []string{g.gate.Name}, Verbs: []string{gate.BypassVerb}},
		},
	}
	for i, who := range []string{onlyEdit, labelling, bypassHere, bypassing} {
		name := fmt.Sprintf("%s-%d", g.namespace, i)
		subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}
		refer := func(kind, to string) rbacv1.RoleRef {
			return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: to}
		}
		inside, outside := metav1.ObjectMeta{Namespace: g.namespace, Name: name}, metav1.ObjectMeta{Name: name}
		g.make(t, &rbacv1.RoleBinding{ObjectMeta: inside, RoleRef: refer("ClusterRole", "edit"), Subjects: subjects})
		if who == bypassHere {
			inside.Name += "-bypass"
			g.make(t, &rbacv1.Role{ObjectMeta: inside, Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"revet.dev"}, Resources: []string{"imagegates"}, Verbs: []string{"*"}}}})
			g.make(t, &rbacv1.RoleBinding{ObjectMeta: inside, RoleRef: refer("Role", inside.Name), Subjects: subjects})
		}
		if of := rules[who]; of != nil {
			g.make(t, &rbacv1.ClusterRole{ObjectMeta: outside, Rules: of})
			g.make(t, &rbacv1.ClusterRoleBinding{ObjectMeta: outside, RoleRef: refer("ClusterRole", name), Subjects: subjects})
		}
		config, err := shared.UserConfig(name)
		if err != nil {
			t.Fatal(err)
		}
		people[who] = person{asUser(t, name), g.impersonator(t, config)}
		g.await(t, who+" is in force", func() error {
			if err := g.try(t, people[who].user, podOf(ref(freshHex))).err; err != nil {
				return err
			}
			if rules[who] == nil {
				return nil
			}
			return people[who].Get(t.Context(), types.NamespacedName{Name: g.namespace}, &corev1.Namespace{})
		})
	}
	// The right to bypass is the last to be made.
	g.await(t, bypassing+" is in force", func() error { return g.try(t, people[bypassing].user, glass("nginx:1")).err })
	return people
}

// attempts are what people try.
func (g *gated) attempts(t *testing.T, old *corev1.Pod) []attempt {
	t.Helper()
	var all []attempt
	for _, o := range g.writable(t) {
		all = append(all, g.writes(t, o)...)
	}
	all = append(all, g.leaving()...)
	return append(all, g.breakingGlass(t, old)...)
}

// writable are the objects that a gate is made of, and what decides on what it gates.
func (g *gated) writable(t *testing.T) []client.Object {
	t.Helper()
	all := append(g.allObjects(),
		&v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: g.gate.Name}},
		&v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Namespace: revetNamespace, Name: g.gate.Name}},
		&v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Namespace: revetNamespace, Name: gate.TagsName(g.gate.Name)}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: revetNamespace, Name: "config-gate"}},
	)
	for _, o := range all {
		if err := g.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// writes are all ways to write one object, and its status where it has one.
func (g *gated) writes(t *testing.T, o client.Object) []attempt {
	t.Helper()
	kind, err := g.admin.GroupVersionKindFor(o)
	if err != nil {
		t.Fatal(err)
	}
	what := kind.Kind + " " + o.GetName()
	fresh := func() client.Object { return o.DeepCopyObject().(client.Object) }
	ofGate := client.MatchingLabels{gate.GateLabel: g.gate.Name} // others have gates, too
	merge := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`))
	all := []attempt{
		{name: "create another " + what, ask: func(ctx context.Context, u person) error {
			other := fresh()
			other.SetName(o.GetName() + "-2")
			other.SetResourceVersion("")
			other.SetUID("")
			return u.Create(ctx, other, client.DryRunAll)
		}},
		{name: "update " + what, ask: func(ctx context.Context, u person) error { return u.Update(ctx, fresh(), client.DryRunAll) }},
		{name: "patch " + what, ask: func(ctx context.Context, u person) error { return u.Patch(ctx, fresh(), merge, client.DryRunAll) }},
		{name: "delete " + what, ask: func(ctx context.Context, u person) error { return u.Delete(ctx, fresh(), client.DryRunAll) }},
		{name: "delete every " + kind.Kind, ask: func(ctx context.Context, u person) error {
			return u.DeleteAllOf(ctx, fresh(), client.InNamespace(o.GetNamespace()), ofGate, client.DryRunAll)
		}},
	}
	switch o.(type) {
	case *v1alpha1.ImageGate, *admissionv1.ValidatingAdmissionPolicy:
		all = append(all,
			attempt{name: "update the status of " + what, ask: func(ctx context.Context, u person) error { return u.Status().Update(ctx, fresh(), client.DryRunAll) }},
			attempt{name: "patch the status of " + what, ask: func(ctx context.Context, u person) error {
				return u.Status().Patch(ctx, fresh(), merge, client.DryRunAll)
			}})
	}
	return all
}

// leaving are the ways out of a gate's selection.
func (g *gated) leaving() []attempt {
	var all []attempt
	for _, subresource := range []string{"", "status", "finalize"} {
		try := func(out bool) func(context.Context, person) error {
			return func(ctx context.Context, u person) error {
				var ns corev1.Namespace
				if err := g.admin.Get(ctx, types.NamespacedName{Name: g.namespace}, &ns); err != nil {
					return err
				}
				ns.Labels["other"] = "x"
				if out {
					delete(ns.Labels, "gated")
				}
				if subresource == "" {
					return u.Update(ctx, &ns, client.DryRunAll)
				}
				return u.SubResource(subresource).Update(ctx, &ns, client.DryRunAll)
			}
		}
		all = append(all,
			attempt{fmt.Sprintf("the namespace leaves by %q", subresource), try(true), map[string]string{labelling: "namespaces", bypassing: admitted}},
			attempt{fmt.Sprintf("the namespace gets another label by %q", subresource), try(false), map[string]string{labelling: admitted, bypassing: admitted}})
	}
	return all
}

// breakingGlass are the ways to use break-glass.
func (g *gated) breakingGlass(t *testing.T, old *corev1.Pod) []attempt {
	t.Helper()
	unless := func(policy string) map[string]string {
		return map[string]string{onlyEdit: policy, labelling: policy, bypassHere: policy, bypassing: admitted}
	}
	create := func(o client.Object) func(context.Context, person) error {
		o.SetNamespace(g.namespace)
		return func(ctx context.Context, u person) error {
			return u.Create(ctx, o.DeepCopyObject().(client.Object), client.DryRunAll)
		}
	}
	changed := old.DeepCopy()
	changed.Labels[gate.BreakGlassLabel], changed.Spec.Containers[1].Image = "true", "nginx:2"
	all := []attempt{
		{"a labelled Pod of a digest", create(glass(ref(unknownHex))), unless("digests")},
		{"a labelled Pod of a tag", create(glass("nginx:9")), unless("tags")},
		{"a labelled Pod with a forged owner", create(owned(glass(ref(unknownHex)), trustedUID)), unless("digests")},
		{"the label and another image of a Pod", func(ctx context.Context, u person) error {
			return u.Update(ctx, changed.DeepCopy(), client.DryRunAll)
		}, unless("changes")},
		{"a labelled Pod as the controller of ReplicaSets", func(ctx context.Context, u person) error {
			p := owned(glass(ref(unknownHex)), trustedUID)
			p.Namespace = g.namespace
			// Nobody but an administrator may be somebody else; the controller has rights of its own.
			return u.as("system:serviceaccount:kube-system:replicaset-controller").Create(ctx, p, client.DryRunAll)
		}, nil},
	}
	for kind, make := range workloads {
		want := unless("breakglass")
		if kind == "PodTemplate" {
			want = nil // edit may not make one
		}
		all = append(all, attempt{"a labelled " + kind, create(named(make(templateWith(true, "nginx:1")))), want})
		plain := named(make(templateWith(false, "nginx:1")))
		plain.SetNamespace(g.namespace)
		g.make(t, plain)
		all = append(all, attempt{"the label on a " + kind, func(ctx context.Context, u person) error {
			o := plain.DeepCopyObject().(client.Object)
			templateIn(o).Labels[gate.BreakGlassLabel] = "true"
			return u.Update(ctx, o, client.DryRunAll)
		}, want})
	}
	return append(all, attempt{"a labelled ControllerRevision", create(named(revision(templateWith(true, "nginx:1")))), nil})
}
