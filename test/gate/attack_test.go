package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// No name that only looks like an exempt one is exempt.
func TestNamesThatLookExempt(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting).enforce(t, content()...)
	for _, image := range []string{
		"registry.k8s.io./x:1", ".registry.k8s.io/x:1", "registry.k8s.io:0443/x:1", "registry.k8s.io:/x:1", "REGISTRY.K8S.IO/x:1",
		"registry.k8s.io\n/x:1", "evil.example/x:1\nregistry.k8s.io/x", "registry.k8s.io\x00/x:1", "registry.k8s.io\u200b/x:1", "ｒegistry.k8s.io/x:1", "regıstry.k8s.io/x:1",
		"registry.k8s.io/../evil/x:1", "registry.k8s.io//x:1", "registry.k8s.io/x/:1", "registry.k8s.io/./x:1", "/registry.k8s.io/x:1", "//registry.k8s.io/x:1",
		"https://registry.k8s.io/x:1", "docker://registry.k8s.io/x:1", "docker.io/registry.k8s.io/x:1", "evil@registry.k8s.io/x:1", "registry.k8s.io@evil.example/x:1",
		"registry.k8s.io/x:1/../y", "registry.k8s.io/x:1:2", "registry.k8s.io/x?y:1", "registry.k8s.io/x#y:1", "registry.k8s.io%2fx:1", "registry.k8s.io/x%2f..:1",
		"registry.k8s.io/x@sha256:" + unknownHex + "@sha256:" + unknownHex, "registry.k8s.io/x@", "registry.k8s.io/x:@sha256:" + unknownHex,
		"registry.k8s.io/x@sha256:" + unknownHex + ":1", "registry.k8s.io/x@sha256+b64:" + unknownHex, "registry.k8s.io/x@SHA256:" + unknownHex,
		"registry.k8s.io/x@sha256:" + unknownHex + "\n", "registry.k8s.io\\x:1", "[registry.k8s.io]/x:1", "[::ffff:1.2.3.4%25eth0]/x:1", "registry.k8s.io",
		"docker.io/library/busybox/x:1", "docker.io/library/busyboxx", "library/busybox@sha1:" + unknownHex[:40], "index.docker.io:443/library/busybox:1",
		"registry-1.docker.io/library/busybox:1", "docker.io./library/busybox:1", "busybox.", "busybox:" + strings.Repeat("a", 129),
		"registry.k8s.io/" + strings.Repeat("a/", 200) + "x:1",
	} {
		a := g.try(t, g.admin, podOf(image))
		if a.err == nil {
			t.Errorf("%q is admitted", image)
		} else if m := policyName.FindStringSubmatch(a.err.Error()); m == nil && !strings.Contains(a.err.Error(), "is invalid") {
			t.Errorf("%q: %v", image, a.err)
		}
	}
}

// What the requester says of an object's times does not make a verdict younger, whichever way
// the object is made.
func TestTimesOfTheRequesterDoNotCount(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting).enforce(t, content()...)
	long := "2020-01-01T00:00:00Z"
	for name, image := range map[string]string{"expired": ref(expiredHex), "an exemption that ended": "old.example/a@sha256:" + unknownHex} {
		p := podOf(image)
		if err := p.CreationTimestamp.UnmarshalText([]byte(long)); err != nil {
			t.Fatal(err)
		}
		if got := g.try(t, g.admin, p).refusedBy(t); got != g.policy("digests") {
			t.Errorf("%s, created: refused by %q", name, got)
		}
		applied := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":%q,"creationTimestamp":%q},`+
			`"spec":{"containers":[{"name":"c","image":%q}]}}`, g.namespace, long, image)
		a := ask(t, func(ctx context.Context) error {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: "x"}}
			return g.admin.Patch(ctx, p, client.RawPatch(types.ApplyPatchType, []byte(applied)), client.DryRunAll, client.FieldOwner("x"), client.ForceOwnership)
		})
		if got := a.refusedBy(t); got != g.policy("digests") {
			t.Errorf("%s, applied: refused by %q", name, got)
		}
	}
}

// No subresource of a Pod starts an image that the gate did not see, or takes a namespace out.
func TestSubresourcesChangeNoImage(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting)
	old := g.oldPod(t)
	g.enforce(t, content()...)
	for _, subresource := range []string{"status", "resize", "ephemeralcontainers"} {
		p := old.DeepCopy()
		p.Spec.Containers[1].Image = "evil.example/x:1"
		p.Spec.InitContainers[0].Image = "evil.example/x:1"
		if err := g.admin.SubResource(subresource).Update(t.Context(), p, client.DryRunAll); err == nil && strings.Contains(fmt.Sprint(p.Spec), "evil.example") {
			t.Errorf("%s changes an image", subresource)
		}
	}
	mirror := podOf(ref(unknownHex))
	mirror.Annotations = map[string]string{"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
	mirror.Spec.NodeName = "node"
	if got := g.try(t, g.admin, mirror).refusedBy(t); got != g.policy("digests") {
		t.Errorf("a mirror Pod is refused by %q", got)
	}
	early := podOf(ref(freshHex))
	early.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Image: ref(unknownHex)}}}
	if a := g.try(t, g.admin, early); a.err == nil {
		t.Error("a Pod is made with an ephemeral container that is not verified")
	}
	for _, subresource := range []string{"", "status", "finalize"} {
		var n corev1.Namespace
		if err := g.admin.Get(t.Context(), types.NamespacedName{Name: g.namespace}, &n); err != nil {
			t.Fatal(err)
		}
		n.Labels[corev1.LabelMetadataName] = metav1.NamespaceSystem
		update := func(ctx context.Context) error { return g.admin.Update(ctx, &n) }
		if subresource != "" {
			update = func(ctx context.Context) error { return g.admin.SubResource(subresource).Update(ctx, &n) }
		}
		a := ask(t, update)
		if got := g.try(t, g.admin, podOf(ref(unknownHex))).refusedBy(t); got != g.policy("digests") {
			t.Errorf("with an excluded namespace's label by %q (%v): refused by %q", subresource, a.err, got)
		}
	}
}

// A revision that the controller of StatefulSets reads otherwise than the gate is nobody's to
// make without the right, and whatever else is kept in revisions is.
func TestRevisionsThatHideATemplate(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, nil).enforce(t, withUntrusted(content())...)
	glass := `"labels":{"` + gate.BreakGlassLabel + `":"true"}`
	plain := `"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"a"}},"spec":{}}}`
	developer := asDeveloper(t)
	for name, test := range map[string]struct {
		data    string
		refused bool
	}{
		"a StatefulSet's":                     {`{` + plain + `}`, false},
		"an upper-case spec":                  {`{` + plain + `,"Spec":{"template":{"metadata":{` + glass + `}}}}`, true},
		"a spec with a long s":                {`{` + plain + `,"ſpec":{"template":{"metadata":{` + glass + `}}}}`, true},
		"an upper-case template":              {`{"spec":{"Template":{"metadata":{` + glass + `}}}}`, true},
		"upper-case metadata":                 {`{"spec":{"template":{"$patch":"replace","Metadata":{` + glass + `}}}}`, true},
		"upper-case labels":                   {`{"spec":{"template":{"$patch":"replace","metadata":{"L` + glass[2:] + `}}}}`, true},
		"a template that is merged":           {`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"evil"}]}}}}`, true},
		"the label twice":                     {`{"spec":{"template":{"$patch":"replace","metadata":{"labels":{}}}},"spec":{"template":{"$patch":"replace","metadata":{` + glass + `}}}}`, true},
		"another controller's":                {`{"spec":{"cpu":{"cores":2},"x":[1]},"kind":"VirtualMachine"}`, false},
		"another controller's without a spec": {`{"a":"b"}`, false},
		"nothing":                             {`{}`, false},
		"a spec that is a text":               {`{"spec":"x"}`, true},
		"a template that is a text":           {`{"spec":{"template":"x"}}`, true},
	} {
		o := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Revision: 1, Data: runtime.RawExtension{Raw: []byte(test.data)}}
		want := ""
		if test.refused {
			want = g.policy("breakglass")
		}
		if a := g.try(t, developer, o); a.refusedBy(t) != want {
			t.Errorf("%s: refused by %q, want %q: %v", name, a.refusedBy(t), want, a.err)
		}
		if a := g.try(t, g.admin, o); a.err != nil {
			t.Errorf("%s with the right: %v", name, a.err)
		}
		if a := g.try(t, asUser(t, gate.WorkloadControllers()[6], developers), o); a.err != nil {
			t.Errorf("%s by the controller: %v", name, a.err)
		}
	}
}

// However large or odd a Pod or a template is, Audit and Warn let it pass.
func TestAuditAndWarnLetHugePodsPass(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn} {
		g := newGated(t, mode, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
			exempting(g, in)
			in.MutatingServed = mutating
		}).enforce(t, content()...)
		var images []string
		for i := range 1500 {
			images = append(images, fmt.Sprintf("r.example/%s/%d@sha256:%s", strings.Repeat("long-", 20)+"x", i, unknownHex))
		}
		for _, name := range []string{"Pod", "Deployment"} {
			var o client.Object = podOf(images...)
			if name == "Deployment" {
				o = named(workloads[name](templateWith(true, images...)))
			}
			if a := g.try(t, asDeveloper(t), o); a.err != nil {
				t.Errorf("%s: a huge %s: %v", mode, name, a.err)
			}
		}
	}
}

// Whoever may edit a namespace can neither make a gate, nor write what it admits, nor end its
// policies, nor leave it.
func TestEditCannotTouchTheGate(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, exempting).enforce(t, content()...)
	developer := asDeveloper(t)
	for name, o := range map[string]client.Object{
		"a gate":   gateOf(g.namespace),
		"a map":    &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: g.gate.Name}},
		"a policy": g.objects.Policies[0].DeepCopy(),
	} {
		o.SetResourceVersion("")
		if err := developer.Create(t.Context(), o, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "cannot create") {
			t.Errorf("making %s: %v", name, err)
		}
	}
	for name, o := range map[string]client.Object{"a binding": g.objects.Bindings[0].DeepCopy(), "the gate": g.gate.DeepCopy()} {
		if err := developer.Delete(t.Context(), o, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "cannot delete") {
			t.Errorf("deleting %s: %v", name, err)
		}
	}
	// A map of the same name in another namespace is not looked up.
	mine := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: g.gate.Name},
		Digests: map[string]string{unknownHex: "2999-01-01T00:00:00Z"}}
	g.make(t, mine)
	if got := g.try(t, developer, podOf(ref(unknownHex))).refusedBy(t); got != g.policy("digests") {
		t.Errorf("with a map of their own: refused by %q", got)
	}
	status, err := json.Marshal(map[string]any{"status": map[string]any{"mode": "Audit"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := developer.Status().Patch(t.Context(), g.gate.DeepCopy(), client.RawPatch(types.MergePatchType, status)); err == nil {
		t.Error("a developer writes the status")
	}
}
