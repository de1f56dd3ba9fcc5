package gate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// revetNamespace holds VerifiedImages.
const revetNamespace = "revet-system"

var gateScheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}()

// user is somebody who asks the API server. Nobody's warnings are lost.
type user struct{ client.Client }

func as(t *testing.T, config *rest.Config) user {
	t.Helper()
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return heard{next} })
	c, err := client.New(config, client.Options{Scheme: gateScheme})
	if err != nil {
		t.Fatal(err)
	}
	return user{c}
}

// admin may do everything, bypass included.
func asAdmin(t *testing.T) user { return as(t, shared.RESTConfig()) }

// asUser is somebody who may do what RBAC says.
func asUser(t *testing.T, name string, groups ...string) user {
	t.Helper()
	config, err := shared.UserConfig(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return as(t, config)
}

// answer is what the API server said to one request.
type answer struct {
	err      error
	warnings []string
	id       string
	// from is how long the audit log was before.
	from int64
}

type answerKey struct{}

// heard notes what the API server says besides the answer.
type heard struct{ next http.RoundTripper }

func (h heard) RoundTrip(r *http.Request) (*http.Response, error) {
	a, ok := r.Context().Value(answerKey{}).(*answer)
	if !ok {
		return h.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Audit-ID", a.id)
	response, err := h.next.RoundTrip(r)
	if err == nil {
		a.warnings = append(a.warnings, response.Header.Values("Warning")...)
	}
	return response, err
}

var answers atomic.Int64

// ask makes one request and notes the answer.
func ask(t *testing.T, request func(context.Context) error) *answer {
	t.Helper()
	a := &answer{id: fmt.Sprintf("%s-%d", t.Name(), answers.Add(1))}
	a.id = regexp.MustCompile(`[^A-Za-z0-9-]`).ReplaceAllString(a.id, "-")
	if info, err := os.Stat(auditLog); err == nil {
		a.from = info.Size()
	}
	a.err = request(context.WithValue(t.Context(), answerKey{}, a))
	return a
}

var policyName = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)'`)

// refusedBy is the policy that refused, or empty. An error of another kind ends the test.
func (a *answer) refusedBy(t *testing.T) string {
	t.Helper()
	if a.err == nil {
		return ""
	}
	m := policyName.FindStringSubmatch(a.err.Error())
	if m == nil {
		t.Fatalf("the request failed otherwise: %v", a.err)
	}
	return m[1]
}

// warnedBy are the policies that warned, in order.
func (a *answer) warnedBy() []string {
	var all []string
	for _, w := range a.warnings {
		for _, m := range policyName.FindAllStringSubmatch(w, -1) {
			all = append(all, m[1])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// audited are the policies that left a note in the audit log, in order.
func (a *answer) audited(t *testing.T) []string {
	t.Helper()
	log, err := os.Open(auditLog)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var all []string
	found := false
	lines := bufio.NewScanner(io.NewSectionReader(log, a.from, 1<<62))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(`"`+a.id+`"`)) {
			continue
		}
		var event struct{ Annotations map[string]string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		found = true
		var notes []struct{ Policy string }
		if s := event.Annotations["validation.policy.admission.k8s.io/validation_failure"]; s != "" {
			if err := json.Unmarshal([]byte(s), &notes); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range notes {
			all = append(all, n.Policy)
		}
	}
	if !found {
		t.Fatalf("request %s is not in the audit log", a.id)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// gated is a gate in force, and a namespace behind it.
type gated struct {
	admin     user
	gate      *v1alpha1.ImageGate
	in        gate.Surroundings
	objects   gate.Objects
	namespace string
}

// gateOf is a gate of one namespace that trusts a trigger.
func gateOf(namespace string) *v1alpha1.ImageGate {
	return &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: "g-" + rand.String(8)},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"gated": namespace}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: "image-verification", Trigger: "everything"}},
			Mode:              v1alpha1.GateAudit,
			MaxAge:            metav1.Duration{Duration: 168 * time.Hour},
		},
	}
}

// newGated makes a namespace and a gate of it, which is not in force.
func newGated(t *testing.T, mode v1alpha1.GateMode, change func(*v1alpha1.ImageGate, *gate.Surroundings)) *gated {
	t.Helper()
	g := &gated{admin: asAdmin(t), namespace: "gate-" + rand.String(8)}
	g.makeNamespace(t, revetNamespace, nil)
	g.makeNamespace(t, g.namespace, map[string]string{"gated": g.namespace})
	g.makeRole(t)
	g.gate = gateOf(g.namespace)
	g.in = gate.Surroundings{Shards: 1, SystemNamespace: revetNamespace, Mode: mode}
	if change != nil {
		change(g.gate, &g.in)
	}
	g.make(t, g.gate)
	return g
}

// enforce makes what the gate knows, puts its policies into force, and returns once they are.
// GATE in the names of what it knows stands for the gate's name.
func (g *gated) enforce(t *testing.T, content ...*v1alpha1.VerifiedImages) *gated {
	t.Helper()
	for _, o := range content {
		o = o.DeepCopy()
		o.Namespace = g.in.SystemNamespace
		o.Name = strings.Replace(o.Name, "GATE", g.gate.Name, 1)
		g.make(t, o)
	}
	g.apply(t)
	g.awaitForce(t)
	return g
}

// apply makes the gate's policies and bindings.
func (g *gated) apply(t *testing.T) {
	t.Helper()
	var home corev1.Namespace
	err := g.admin.Get(t.Context(), client.ObjectKey{Name: g.in.SystemNamespace}, &home)
	if err != nil {
		t.Fatal(err)
	}
	if g.in.KindUID, err = g.anchor(t, &home); err != nil {
		t.Fatal(err)
	}
	if g.objects, err = gate.Compile(g.gate, g.in); err != nil {
		t.Fatal(err)
	}
	for _, p := range g.objects.Policies {
		g.make(t, p.DeepCopy())
	}
	for _, b := range g.objects.Bindings {
		g.make(t, b.DeepCopy())
	}
	for _, p := range g.objects.Pins {
		g.make(t, p.DeepCopy())
	}
}

// anchor makes Revet's namespace the owner of what owns bindings, as the controller does.
func (g *gated) anchor(t *testing.T, home *corev1.Namespace) (types.UID, error) {
	t.Helper()
	kind := &apiextensionsv1.CustomResourceDefinition{}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := g.admin.Get(t.Context(), client.ObjectKey{Name: gate.VerifiedImagesKind}, kind); err != nil {
			return err
		}
		if home.Name != revetNamespace {
			return nil // no garbage collector runs, and others use the kind
		}
		kind.OwnerReferences = gate.Anchored(kind.OwnerReferences, home.Name, home.UID)
		return g.admin.Update(t.Context(), kind)
	})
	return kind.UID, err
}

// Why a condition is not met yet.
var (
	errAdmitted = errors.New("it is admitted")
	errThere    = errors.New("it is still there")
)

// makeRole lets a group do everything but what concerns gates.
func (g *gated) makeRole(t *testing.T) {
	t.Helper()
	for _, o := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: developers}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"", "apps", "batch"}, Resources: []string{"*"}, Verbs: []string{"*"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: developers},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: developers},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: developers}}},
	} {
		if err := g.admin.Create(t.Context(), o); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
}

// developers are a group that may not bypass a gate.
const developers = "developers"

func asDeveloper(t *testing.T) user { return asUser(t, "jane", developers) }

// make creates an object, which the test's end deletes.
func (g *gated) make(t *testing.T, o client.Object) {
	t.Helper()
	if err := g.admin.Create(t.Context(), o); err != nil {
		t.Fatalf("%T %s: %v", o, o.GetName(), err)
	}
	t.Cleanup(func() { _ = g.admin.Delete(context.Background(), o) })
}

func (g *gated) makeNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	err := g.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	if client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
}

// policy is the name of one of the gate's policies.
func (g *gated) policy(part string) string { return "revet-gate-" + g.gate.Name + "-" + part }

// awaitForce waits until each of the gate's policies answers. A policy that may not refuse
// leaves a note in the audit log.
func (g *gated) awaitForce(t *testing.T) {
	t.Helper()
	want := map[string]string{"tags": "r.example/nobody:1", "tagtemplates": "r.example/nobody:1"}
	if g.in.Shards == 1 {
		want["digests"] = "r.example/nobody@sha256:" + strings.Repeat("0", 64)
		want["templates"] = want["digests"]
	} else {
		for _, d := range "0123456789abcdef" {
			want["digests-"+string(d)] = "r.example/nobody@sha256:" + string(d) + strings.Repeat("0", 63)
			want["templates-"+string(d)] = want["digests-"+string(d)]
		}
	}
	for part, image := range want {
		g.awaitSays(t, part, func(ctx context.Context) error {
			var o client.Object = podOf(image)
			if strings.Contains(part, "templates") {
				o = deploymentOf(image)
			}
			o.SetNamespace(g.namespace)
			return g.admin.Create(ctx, o, client.DryRunAll)
		})
	}
	// The others come after them, from one queue and in the order of their creation.
	g.awaitSays(t, "breakglass", func(ctx context.Context) error {
		o := deploymentOf("r.example/nobody:1")
		o.Spec.Template.Labels[gate.BreakGlassLabel] = "true"
		o.Namespace = g.namespace
		return asDeveloper(t).Create(ctx, o, client.DryRunAll)
	})
	g.awaitSays(t, "namespaces", func(ctx context.Context) error {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.namespace}}
		return asDeveloper(t).Patch(ctx, ns, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"gated":null}}}`)), client.DryRunAll)
	})
}

// awaitSays makes a request until one of the gate's policies speaks up.
func (g *gated) awaitSays(t *testing.T, part string, request func(context.Context) error) {
	t.Helper()
	g.await(t, part, func() error {
		if a := ask(t, request); !a.says(t, g.policy(part)) {
			return fmt.Errorf("the policy says nothing: %v", a.err) //nolint:errorlint // it may be nil
		}
		return nil
	})
}

// says reports whether the policy spoke up, whatever it may do.
func (a *answer) says(t *testing.T, policy string) bool {
	t.Helper()
	return (a.err != nil && strings.Contains(a.err.Error(), "'"+policy+"'")) || slices.Contains(a.audited(t), policy)
}

// awaitFor is ample for an API server to learn of policies, while many tests make some.
const awaitFor = 2 * time.Minute

// await polls until the condition gives no error.
func (g *gated) await(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.After(awaitFor)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, awaitFor, err)
		case <-tick.C:
		}
	}
}

// try makes an object in the gated namespace, for show.
func (g *gated) try(t *testing.T, u user, o client.Object) *answer {
	t.Helper()
	o = o.DeepCopyObject().(client.Object)
	o.SetNamespace(g.namespace)
	return ask(t, func(ctx context.Context) error { return u.Create(ctx, o, client.DryRunAll) })
}

// update changes an object, for show.
func (g *gated) update(t *testing.T, u user, o client.Object) *answer {
	t.Helper()
	o = o.DeepCopyObject().(client.Object)
	return ask(t, func(ctx context.Context) error { return u.Update(ctx, o, client.DryRunAll) })
}

// podOf has a container for each image.
func podOf(images ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "p-"}}
	for i, image := range images {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprint("c", i), Image: image})
	}
	return p
}

// deploymentOf has a container for each image.
func deploymentOf(images ...string) *appsv1.Deployment {
	labels := map[string]string{"app": "a"}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{GenerateName: "d-"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels)}, Spec: podOf(images...).Spec},
	}}
}
