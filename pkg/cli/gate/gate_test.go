package gate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// digest has one digit throughout.
func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// The images of the tests, by what became of them.
var (
	good  = "registry.example.com/good@" + digest("a")
	bad   = "registry.example.com/bad@" + digest("b")
	old   = "registry.example.com/old@" + digest("c")
	stale = "registry.example.com/stale@" + digest("e")
	alien = "registry.example.com/alien@" + digest("d")
)

// production gates by label, and trusts one trigger.
func production(change ...func(*v1alpha1.ImageGate)) *v1alpha1.ImageGate {
	g := &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: "production"},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"env": "production"}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: "vetting", Trigger: "prod"}},
			MaxAge:            metav1.Duration{Duration: 168 * time.Hour}, Mode: v1alpha1.GateDeny, OnExpired: v1alpha1.ExpiredWarn,
			PinTags: v1alpha1.PinNewest,
			Exempt:  []v1alpha1.GateExemption{{Images: "registry.k8s.io/**", Reason: "the platform's own", Expires: "2026-11-30"}},
		},
		Status: v1alpha1.ImageGateStatus{Mode: v1alpha1.GateDeny},
	}
	for _, f := range change {
		f(g)
	}
	return g
}

func inMode(m v1alpha1.GateMode) func(*v1alpha1.ImageGate) {
	return func(g *v1alpha1.ImageGate) { g.Spec.Mode, g.Status.Mode = m, m }
}

// entry is one of the trusted trigger.
func entry(name, tag, digit string, outcome v1alpha1.Outcome, ago time.Duration) *v1alpha1.ImageVerification {
	e := commandtest.Entry(name, "vetting/x", digest(digit), commandtest.Record(tag, ago, 0, v1alpha1.SourceWebhook))
	e.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "registry.example.com/" + name, Pull: "registry.example.com/" + name}
	e.Spec.FirstPush.Sequence = 1
	e.Status.Phase = v1alpha1.PhasePending
	if outcome != "" {
		e.Status.Phase = map[v1alpha1.Outcome]v1alpha1.Phase{v1alpha1.OutcomePass: v1alpha1.PhasePassed, v1alpha1.OutcomeFail: v1alpha1.PhaseFailed}[outcome]
		e.Status.Verdict = &v1alpha1.Verdict{Outcome: outcome, Run: name + "-1", At: *commandtest.Second(ago)}
	}
	return &e
}

// trusted is the trigger that the gate trusts. Its listener is in another namespace.
func trusted() *v1alpha1.ImageTrigger {
	t := commandtest.TriggerOf("vetting", "prod", "")
	t.MarkSinkResolved("http://el-scan.listeners.svc.cluster.local:8080", commandtest.Now)
	return t
}

// site is a cluster with a gate, and what the ledger says.
func site(g *v1alpha1.ImageGate, more ...client.Object) []client.Object {
	namespace := func(name, env string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"env": env}}}
	}
	return append([]client.Object{
		g, namespace("demo", "production"), namespace("other", "test"), namespace("vetting", "production"), namespace("tekton-x", "production"), namespace("listeners", "production"),
		trusted(),
		entry("good", "v1", "a", v1alpha1.OutcomePass, 48*time.Hour),
		entry("bad", "v1", "b", v1alpha1.OutcomeFail, time.Hour),
		entry("old", "v1", "c", v1alpha1.OutcomePass, 10*24*time.Hour),
		entry("stale", "v1", "e", v1alpha1.OutcomePass, 10*24*time.Hour),
		entry("app", "v1", "f", "", time.Minute),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "config-gate"}, Data: map[string]string{"exclude.yaml": "- tekton-*\n"}},
		&v1alpha1.VerifiedImages{
			ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "production", OwnerReferences: []metav1.OwnerReference{{Kind: "ImageGate", Name: "production"}}},
			Ran: map[string]string{
				strings.Repeat("c", 64): commandtest.At(20 * 24 * time.Hour).Format(time.RFC3339),
				strings.Repeat("e", 64): commandtest.At(31 * 24 * time.Hour).Format(time.RFC3339),
			},
		},
	}, more...)
}

// pinning is a client of an API server that pins tags.
type pinning struct{ client.Client }

func (p pinning) RESTMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "admissionregistration.k8s.io", Version: "v1beta1"}})
	m.Add(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1beta1", Kind: "MutatingAdmissionPolicy"}, meta.RESTScopeRoot)
	return m
}

// ask runs the command with a real shape of its report.
func ask(t *testing.T, hooks interceptor.Funcs, pins bool, objects []client.Object, in string, args ...string) commandtest.Result {
	t.Helper()
	_, connect := commandtest.Writable(t, hooks, objects...)
	return commandtest.Run(New, in, func(f *command.ClusterFlags) (command.Cluster, error) {
		cl, err := connect(f)
		if pins {
			cl.Writer = pinning{cl.Writer}
		}
		return cl, err
	}, append([]string{"gate", "test"}, args...)...)
}

func forbidden(resource, name string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, name, errors.New("no RBAC policy matched: cannot create resource"))
}

// denies are hooks of an API server that refuses to tell of objects like the one given.
func denies(like func(client.Object, client.ObjectList) bool) interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if like(o, nil) {
				return forbidden("x", key.Name)
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if like(nil, l) {
				return forbidden("x", "")
			}
			return c.List(ctx, l, opts...)
		},
	}
}

// Property: what a gate concludes, each mode follows, and what is not known is never
// admitted. The exit status is that of Deny.
func TestGateTest(t *testing.T) {
	ledger := denies(func(_ client.Object, l client.ObjectList) bool {
		_, ok := l.(*v1alpha1.ImageVerificationList)
		return ok
	})
	triggers := denies(func(o client.Object, _ client.ObjectList) bool { _, ok := o.(*v1alpha1.ImageTrigger); return ok })
	namespaces := denies(func(o client.Object, _ client.ObjectList) bool { _, ok := o.(*corev1.Namespace); return ok })
	looked := denies(func(_ client.Object, l client.ObjectList) bool { _, ok := l.(*v1alpha1.VerifiedImagesList); return ok })
	gates := denies(func(_ client.Object, l client.ObjectList) bool { _, ok := l.(*v1alpha1.ImageGateList); return ok })
	config := denies(func(o client.Object, _ client.ObjectList) bool { _, ok := o.(*corev1.ConfigMap); return ok })
	unconfigured := interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if _, ok := o.(*corev1.ConfigMap); ok {
			return apierrors.NewNotFound(corev1.Resource("configmaps"), key.Name)
		}
		return c.Get(ctx, key, o, opts...)
	}}
	none := interceptor.Funcs{}
	for _, test := range []struct {
		name   string
		hooks  interceptor.Funcs
		gate   *v1alpha1.ImageGate
		args   []string
		status int
		want   []string
	}{
		{"verified", none, production(), []string{"--image", good}, 0, []string{"Verified", "admitted", "5d"}},
		{"failed", none, production(), []string{"--image", bad}, 1, []string{"Failed", "refused by gate production: it failed", "cure: kubectl revet explain bad -n vetting", "error: 1 refused"}},
		{"failed, in Warn", none, production(inMode(v1alpha1.GateWarn)), []string{"--image", bad}, 1,
			[]string{"warned by gate production, and refused in mode Deny", "error: 1 would be refused, if the gate's mode were Deny"}},
		{"failed, in Audit", none, production(inMode(v1alpha1.GateAudit)), []string{"--image", bad}, 1, []string{"audited by gate production, and refused in mode Deny"}},
		{"failed, before the gate is in force", none, production(inMode("")), []string{"--image", bad}, 1, []string{"admitted", "(the gate is not in force yet)"}},
		{"unknown", none, production(), []string{"--image", alien}, 1,
			[]string{"Unknown", "cure: kubectl revet verify registry.example.com/alien@" + digest("d") + " -n vetting --trigger prod --wait"}},
		{"expired, and it ran here", none, production(), []string{"--image", old}, 0, []string{"Expired", "admitted by gate production: it passed 240h0m0s ago", "it ran behind the gate at 2026-11-01", "10d"}},
		{"expired, and it ran here too long ago", none, production(), []string{"--image", stale}, 1, []string{"did not run behind the gate within 30 days", "cure: kubectl revet replay stale -n vetting"}},
		{"expired, where that is denied", none, production(func(g *v1alpha1.ImageGate) { g.Spec.OnExpired = v1alpha1.ExpiredDeny }), []string{"--image", old}, 1, []string{"refused by gate production: it passed 240h0m0s ago"}},
		{"expired, and what ran is not known", looked, production(), []string{"--image", old}, 2, []string{"NOT KNOWN", "whether it ran behind the gate is not known", "error: not known for 1"}},
		{"exempt", none, production(), []string{"--image", "registry.k8s.io/pause:3.10"}, 0, []string{"Exempt", "admitted", "exempt by registry.k8s.io/**: the platform's own", "9d"}},
		{"exempt until yesterday", none, production(func(g *v1alpha1.ImageGate) { g.Spec.Exempt[0].Expires = "2026-11-20" }), []string{"--image", "registry.k8s.io/pause:3.10"}, 1, []string{"Unknown"}},
		{"looks exempt", none, production(), []string{"--image", "evil.example.com/registry.k8s.io/pause:3.10"}, 1, []string{"Unknown"}},
		{"what is no reference", none, production(), []string{"--image", "Nginx:1"}, 1, []string{"is no valid name of an image"}},
		{"no namespace of the gate", none, production(), []string{"--image", bad, "-n", "other"}, 0, []string{"admitted"}},
		{"a namespace that runs the verification", none, production(), []string{"--image", bad, "-n", "vetting"}, 0, []string{"admitted"}},
		{"a namespace of its listener", none, production(), []string{"--image", bad, "-n", "listeners"}, 0, []string{"admitted"}},
		{"a namespace that the operator excludes", none, production(), []string{"--image", bad, "-n", "tekton-x"}, 0, []string{"admitted"}},
		{"a namespace of the default list", unconfigured, production(), []string{"--image", bad, "-n", "tekton-x"}, 0, []string{"admitted"}},
		{"a namespace of Kubernetes itself", none, production(func(g *v1alpha1.ImageGate) { g.Spec.NamespaceSelector = metav1.LabelSelector{} }), []string{"--image", bad, "-n", "kube-system"}, 0, []string{"admitted"}},
		{"every namespace", none, production(func(g *v1alpha1.ImageGate) { g.Spec.NamespaceSelector = metav1.LabelSelector{} }), []string{"--image", bad, "-n", "absent"}, 1, []string{"Failed"}},
		{"a namespace that is not there", none, production(), []string{"--image", good, "-n", "absent"}, 2, []string{"NOT KNOWN", `whether the gate gates namespace "absent"`}},
		{"a namespace that may not be read", namespaces, production(), []string{"--image", good}, 2, []string{"NOT KNOWN", `reading the labels of namespace "demo"`}},
		{"a ledger that may not be read", ledger, production(), []string{"--image", good}, 2, []string{"NotKnown", "the ledger of a trigger that the gate trusts"}},
		{"a ledger that may not be read, and an exemption", ledger, production(), []string{"--image", "registry.k8s.io/pause:3.10"}, 0, []string{"Exempt"}},
		{"a trigger that may not be read", triggers, production(), []string{"--image", good}, 2, []string{"NotKnown"}},
		{"gates that may not be read", gates, production(), []string{"--image", good}, 2, []string{"error: listing ImageGates"}},
		{"exclusions that may not be read", config, production(), []string{"--image", bad, "-n", "tekton-x"}, 1, []string{"what is said holds for those that are not"}},
		{"a gate that cannot be followed", none, production(func(g *v1alpha1.ImageGate) { g.Spec.Require.Platforms = []string{"linux"} }), []string{"--image", good}, 2,
			[]string{"NOT KNOWN by gate production: the gate's spec cannot be followed", "cure: kubectl edit imagegate production"}},
		{"another gate than the one that is asked", none, production(), []string{"--image", good, "--gate", "staging"}, 2, []string{`there is no ImageGate "staging"; there are: production`}},
		{"a trusted trigger that is gone", none, production(func(g *v1alpha1.ImageGate) { g.Spec.Trust[0].Trigger = "gone" }), []string{"--image", good}, 1, []string{"no trigger that the gate trusts has an entry of this digest"}},
		{"nothing", none, production(), nil, 2, []string{"name a file with -f, or an image with --image"}},
		{"a file that is not there", none, production(), []string{"-f", "testdata/absent.yaml"}, 2, []string{"absent.yaml: no such file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, test.hooks, true, site(test.gate), "", append(test.args, "--dry-run=false")...)
			for _, want := range test.want {
				if r.Status != test.status || !strings.Contains(r.Out+r.ErrOut, want) {
					t.Errorf("status %d, want %d and %q:\n%s%s", r.Status, test.status, want, r.Out, r.ErrOut)
				}
			}
		})
	}
}

// A tag is what the gate would pin it to.
func TestGateTestOfTags(t *testing.T) {
	off := production(func(g *v1alpha1.ImageGate) { g.Spec.PinTags = v1alpha1.PinOff })
	for _, test := range []struct {
		name   string
		gate   *v1alpha1.ImageGate
		image  string
		pins   bool
		status int
		want   []string
	}{
		{"its newest push passed", production(), "registry.example.com/good:v1", true, 0, []string{"registry.example.com/good:v1@sha256:aaaaaaaa", "Verified", "admitted"}},
		{"its newest push failed", production(), "registry.example.com/bad:v1", true, 1, []string{"the newest push of its tag is not verified: Failed"}},
		{"its newest push is being verified", production(), "registry.example.com/app:v1", true, 1, []string{"BeingVerified", "cure: kubectl revet explain registry.example.com/app:v1 -n vetting"}},
		{"nobody pushed it", production(), "nginx:1.27", true, 1, []string{"no trigger that the gate trusts recorded a push of this tag", "crane digest docker.io/library/nginx:1.27"}},
		{"the gate pins none", off, "registry.example.com/good:v1", true, 1, []string{"pinTags: Off"}},
		{"the API server pins none", production(), "registry.example.com/good:v1", false, 1, []string{"this API server does not pin tags", "cure: write registry.example.com/good:v1@" + digest("a")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, interceptor.Funcs{}, test.pins, site(test.gate), "", "--image", test.image, "--dry-run=false")
			for _, want := range test.want {
				if r.Status != test.status || !strings.Contains(r.Out+r.ErrOut, want) {
					t.Errorf("status %d, want %d and %q:\n%s%s", r.Status, test.status, want, r.Out, r.ErrOut)
				}
			}
		})
	}
}

// Every place of every object in a file is looked at, in the namespace that the file makes.
func TestGateTestOfAFile(t *testing.T) {
	for _, output := range []string{"table", "json"} {
		r := ask(t, interceptor.Funcs{}, true, site(production()), "", "-f", "testdata/deploy.yaml", "--dry-run=false", "-o", output)
		commandtest.Golden(t, "deploy."+output, r.Out)
		if r.Status != 1 || r.ErrOut != "error: 3 refused\n" {
			t.Errorf("status %d, %s", r.Status, r.ErrOut)
		}
	}
}

// What is not understood is an error, and not admitted.
func TestGateTestOfWhatIsNoManifest(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"no YAML":                {"a: [", "reading document 1 of standard input"},
		"no object":              {"a: b", "document 1 of standard input: it has no kind"},
		"a list of other things": {"kind: List\nitems: [1]", "items[0] is no object"},
		"an image that is none":  {"kind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: [1]}]}", `Pod "p": spec:`},
		"nothing":                {"", "there is no image in what was read"},
		"no Pod":                 {"kind: Service\nspec: {ports: []}", "there is no image in what was read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, interceptor.Funcs{}, true, site(production()), test.in, "-f", "-")
			if r.Status != 2 || !strings.Contains(r.ErrOut, test.want) {
				t.Errorf("status %d, %q; want 2 and %q", r.Status, r.ErrOut, test.want)
			}
		})
	}
}

const denied = `pods "revet-gate-test-x" is forbidden: ValidatingAdmissionPolicy 'revet-gate-production-digests' with binding 'revet-gate-production-digests' denied request: ImageGate production refuses it`

// What the API server says to a dry run is compared with what the command says.
func TestGateTestAsksTheAPIServer(t *testing.T) {
	answers := func(err error, change func(*corev1.Pod)) interceptor.Funcs {
		return interceptor.Funcs{Create: func(_ context.Context, _ client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			var all client.CreateOptions
			all.ApplyOptions(opts)
			pod, ok := o.(*corev1.Pod)
			if !ok || !cmp.Equal(all.DryRun, []string{metav1.DryRunAll}) || len(pod.Spec.EphemeralContainers) > 0 {
				return errors.New("this is no dry run of a Pod")
			}
			if err == nil && change != nil {
				change(pod)
			}
			return err
		}}
	}
	pinTo := func(digit string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Image += "@" + digest(digit) }
	}
	refusal := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden, Message: denied}}
	for _, test := range []struct {
		name    string
		hooks   interceptor.Funcs
		gate    *v1alpha1.ImageGate
		image   string
		status  int
		want    string
		tried   bool
		unasked bool
	}{
		{"both admit", answers(nil, nil), production(), good, 0, "", true, false},
		{"both refuse", answers(refusal, nil), production(), bad, 1, "", true, false},
		{"both pin", answers(nil, pinTo("a")), production(), "registry.example.com/good:v1", 0, "", true, false},
		{"it refuses what should be admitted", answers(refusal, nil), production(), good, 1, "the API server disagrees: it refuses the Pod: " + denied, true, false},
		{"it admits what should be refused", answers(nil, nil), production(), bad, 1, "the API server disagrees: it would make the Pod, with " + bad, true, false},
		{"it pins to another digest", answers(nil, pinTo("b")), production(), "registry.example.com/good:v1", 2,
			"the API server disagrees: it would make the Pod with registry.example.com/good:v1@" + digest("b"), true, false},
		{"it pins nothing", answers(nil, nil), production(), "registry.example.com/good:v1", 2, "the API server disagrees: it would make the Pod with registry.example.com/good:v1", true, false},
		{"no right to make Pods", answers(forbidden("pods", ""), nil), production(), good, 0, "The API server was not asked about namespace demo: you may not create Pods there.", false, false},
		{"another reason", answers(errors.New("exceeded quota"), nil), production(), good, 0, "The API server was not asked about --image, as it refuses its Pod for another reason: exceeded quota", false, false},
		{"a gate that denies nothing is not asked about", answers(errors.New("asked"), nil), production(inMode(v1alpha1.GateAudit)), good, 0, "", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, output := range []string{"table", "json"} {
				r := ask(t, test.hooks, true, site(test.gate), "", "--image", test.image, "-o", output)
				want := test.want
				if output == "json" {
					want = map[bool]string{true: `"tried": true`, false: `"tried": false`}[test.tried]
				}
				if r.Status != test.status || !strings.Contains(r.Out, want) || strings.Contains(test.want, "isagree") != strings.Contains(r.Out, "isagree") {
					t.Errorf("status %d, want %d and %q:\n%s%s", r.Status, test.status, want, r.Out, r.ErrOut)
				}
				if test.unasked && strings.Contains(r.Out, "asked") {
					t.Errorf("the API server was asked:\n%s", r.Out)
				}
			}
		})
	}
}

// No Pod is made with ephemeral containers: the API server would refuse it for that.
func TestGateTestTriesNoEphemeralContainers(t *testing.T) {
	hooks := interceptor.Funcs{Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
		if pod, ok := o.(*corev1.Pod); !ok || len(pod.Spec.EphemeralContainers) > 0 {
			return errors.New("ephemeral containers are not allowed")
		}
		return nil
	}}
	pod := "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: '" + good + "'}], ephemeralContainers: [{name: e, image: '" + bad + "'}]}"
	r := ask(t, hooks, true, site(production()), pod, "-f", "-", "-o", "json")
	if r.Status != 1 || strings.Count(r.Out, `"tried": true`) != 1 || strings.Contains(r.Out, "not asked") {
		t.Errorf("status %d:\n%s", r.Status, r.Out)
	}
}

// Where the ledger may not be read, the API server's answer is told, and is no verdict.
func TestGateTestAsksTheAPIServerAboutWhatIsNotKnown(t *testing.T) {
	refusal := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden, Message: denied}}
	for want, answer := range map[string]error{"the API server would make the Pod now": nil, "the API server refuses the Pod: " + denied: refusal} {
		hooks := denies(func(_ client.Object, l client.ObjectList) bool {
			_, ok := l.(*v1alpha1.ImageVerificationList)
			return ok
		})
		hooks.Create = func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return answer }
		r := ask(t, hooks, true, site(production()), "", "--image", good)
		if r.Status != 2 || !strings.Contains(r.Out, "NOT KNOWN by gate production") || !strings.Contains(r.Out, want) || strings.Contains(r.Out, "disagrees") {
			t.Errorf("status %d, want 2 and %q:\n%s%s", r.Status, want, r.Out, r.ErrOut)
		}
	}
}

// The break-glass label counts for who may bypass the gate, and for nobody else.
func TestGateTestOfBreakGlass(t *testing.T) {
	review := func(allowed bool, err error) interceptor.Funcs {
		return interceptor.Funcs{Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			r, ok := o.(*authorizationv1.SelfSubjectAccessReview)
			if !ok || r.Spec.ResourceAttributes.Name != "production" || r.Spec.ResourceAttributes.Verb != "bypass" {
				return errors.New("this is no question about the right to bypass")
			}
			r.Status.Allowed = allowed
			return err
		}}
	}
	pod := "kind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {image-policy.k8s.io/break-glass: 'true'}}, spec: {containers: [{name: c, image: '" + bad + "'}]}}}"
	for _, test := range []struct {
		name   string
		hooks  interceptor.Funcs
		in     string
		status int
		want   string
	}{
		{"who may", review(true, nil), pod, 0, "it starts by break-glass, which you may use"},
		{"who may not", review(false, nil), pod, 1, "its break-glass label does not count, as you have no right to bypass the gate"},
		{"nobody knows", review(true, errors.New("timeout")), pod, 2, "whether the break-glass label counts, which it has: timeout"},
		{"another value", review(true, nil), strings.Replace(pod, "'true'", "'yes'", 1), 1, "it failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, test.hooks, true, site(production()), test.in, "-f", "-", "--dry-run=false")
			if r.Status != test.status || !strings.Contains(r.Out, test.want) {
				t.Errorf("status %d, want %d and %q:\n%s%s", r.Status, test.status, test.want, r.Out, r.ErrOut)
			}
		})
	}
}

func TestGatesAreCompleted(t *testing.T) {
	_, connect := commandtest.Writable(t, interceptor.Funcs{}, site(production())...)
	r := commandtest.Run(New, "", connect, "__complete", "gate", "test", "--gate", "")
	if !strings.HasPrefix(r.Out, "production\n") {
		t.Errorf("completed %q", r.Out)
	}
}
