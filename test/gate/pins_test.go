package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1beta1 "k8s.io/api/admissionregistration/v1beta1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

const systemNamespace = "revet-system"

// hexOf is a digest of one letter.
func hexOf(c string) string { return strings.Repeat(c, 64) }

func at(c string) string { return "@sha256:" + hexOf(c) }

// tagged is a gated namespace, and what its gate knows of tags.
type tagged struct {
	client.Client
	namespace string
	tags      *v1alpha1.VerifiedImages
}

// known are tags that every test begins with.
var known = map[string]string{
	"docker.io/library/nginx:latest": hexOf("a"),
	"docker.io/library/nginx:1":      hexOf("b"),
	"docker.io/team/app:1":           hexOf("c"),
	"r.example.com/app:1":            hexOf("d"),
	"registry.svc:5000/shop/web:1":   hexOf("e"),
	"localhost/app:1":                hexOf("f"),
	"r.example.com/app:pending":      "BeingVerified",
	"r.example.com/app:bad":          "Failed",
}

func newClient(t *testing.T) client.Client {
	t.Helper()
	s := scheme.Scheme
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	config := shared.RESTConfig()
	config.WarningHandler = rest.NoWarnings{}
	c, err := client.New(config, client.Options{Scheme: s})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mutatingVersion asks the API server as the controller does.
func mutatingVersion(t *testing.T) string {
	t.Helper()
	c, err := discovery.NewDiscoveryClientForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	var served []*metav1.APIResourceList
	for _, v := range []string{"v1", "v1beta1"} {
		if list, err := c.ServerResourcesForGroupVersion(admissionregistrationv1beta1.GroupName + "/" + v); err == nil {
			served = append(served, list)
		}
	}
	return gate.MutatingVersion(served)
}

func newTagged(t *testing.T) tagged {
	t.Helper()
	version := mutatingVersion(t)
	if mutating != (version != "") {
		t.Fatalf("the API server serves version %q, and mutating is %v", version, mutating)
	}
	if !mutating {
		t.Skip("the API server pins nothing")
	}
	c := newClient(t)
	_ = c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}})
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "pins-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	tags := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Name: gate.TagsName(ns.Name), Namespace: systemNamespace}, Tags: known}
	if err := c.Create(t.Context(), tags); err != nil {
		t.Fatal(err)
	}
	objects, err := gate.PinPolicies(gate.PinScope{Gate: ns.Name, Namespace: systemNamespace,
		Binding: admissionregistrationv1beta1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns.Name}}}}, version)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Delete(context.Background(), o) })
	}
	g := tagged{c, ns.Name, tags}
	g.awaitPin(t, "nginx:1", "nginx:1"+at("b"))
	return g
}

// await polls until the condition gives no error.
func await(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within a minute: %v", what, err)
		case <-tick.C:
		}
	}
}

// pod has a container for each image.
func pod(images ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	for i, image := range images {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprint("c", i), Image: image})
	}
	return p
}

// pinned makes a Pod with an image, for show, and returns what its image would be.
func (g tagged) pinned(t *testing.T, image string) string {
	t.Helper()
	p := pod(image)
	p.Name, p.GenerateName, p.Namespace = "", "try-", g.namespace
	if err := g.Create(t.Context(), p, client.DryRunAll); err != nil {
		return err.Error()
	}
	return p.Spec.Containers[0].Image
}

// awaitPin waits until an image is pinned, or is not any more.
func (g tagged) awaitPin(t *testing.T, image, want string) {
	t.Helper()
	await(t, image+" becomes "+want, func() error {
		if got := g.pinned(t, image); got != want {
			return errors.New("it is " + got)
		}
		return nil
	})
}

func (g tagged) create(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	p = p.DeepCopy()
	p.Namespace = g.namespace
	if err := g.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func images(p *corev1.Pod) []string {
	var all []string
	for _, u := range gate.Uses(&p.Spec) {
		all = append(all, u.Image)
	}
	return all
}

// Every form of a name is the same tag, and keeps its form.
func TestPinsEveryFormOfAName(t *testing.T) {
	g := newTagged(t)
	for image, want := range map[string]string{
		"nginx":                                "nginx:latest" + at("a"),
		"nginx:latest":                         "nginx:latest" + at("a"),
		"library/nginx":                        "library/nginx:latest" + at("a"),
		"docker.io/nginx":                      "docker.io/nginx:latest" + at("a"),
		"docker.io/library/nginx:latest":       "docker.io/library/nginx:latest" + at("a"),
		"index.docker.io/library/nginx:latest": "index.docker.io/library/nginx:latest" + at("a"),
		"index.docker.io/nginx:1":              "index.docker.io/nginx:1" + at("b"),
		"nginx:1":                              "nginx:1" + at("b"),
		"team/app:1":                           "team/app:1" + at("c"),
		"r.example.com/app:1":                  "r.example.com/app:1" + at("d"),
		"registry.svc:5000/shop/web:1":         "registry.svc:5000/shop/web:1" + at("e"),
		"localhost/app:1":                      "localhost/app:1" + at("f"),
		// What is not known, or has a reason, or a digest.
		"r.example.com/app":                 "r.example.com/app",
		"r.example.com/app:2":               "r.example.com/app:2",
		"registry.svc:5000/shop/web":        "registry.svc:5000/shop/web",
		"r.example.com/app:pending":         "r.example.com/app:pending",
		"r.example.com/app:bad":             "r.example.com/app:bad",
		"evil.example/r.example.com/app:1":  "evil.example/r.example.com/app:1",
		"nginx" + at("0"):                   "nginx" + at("0"),
		"nginx:1" + at("0"):                 "nginx:1" + at("0"),
		"evil.example/library/nginx:latest": "evil.example/library/nginx:latest",
		"r.example.com:443/app:1":           "r.example.com:443/app:1",
	} {
		if got := g.pinned(t, image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

// Only images change: neither other fields nor the order of a list, whatever of it is pinned.
func TestPinsEveryPlaceOfAPod(t *testing.T) {
	g := newTagged(t)
	always := corev1.ContainerRestartPolicyAlways
	whole := func(image func(string) string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"a": "b"}}, Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{
				{Name: "z", Image: image("unknown:1"), Args: []string{"1"}},
				{Name: "y", Image: image("nginx:1"), Env: []corev1.EnvVar{{Name: "A", Value: "1"}}, RestartPolicy: &always},
				{Name: "x", Image: image("other:1")},
				{Name: "w", Image: image("team/app:1")},
			},
			Containers: []corev1.Container{
				{Name: "b", Image: image("team/app:1"), ImagePullPolicy: corev1.PullNever, Command: []string{"x", "y"}},
				{Name: "a", Image: image("unknown:1")},
				{Name: "c", Image: image("nginx"), VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}},
			},
			Volumes: []corev1.Volume{
				{Name: "e", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image("r.example.com/app:1"), PullPolicy: corev1.PullNever}}},
				{Name: "u", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image("unknown:1")}}},
			},
		}}
	}
	pins := map[string]string{"nginx:1": "nginx:1" + at("b"), "team/app:1": "team/app:1" + at("c"), "nginx": "nginx:latest" + at("a"), "r.example.com/app:1": "r.example.com/app:1" + at("d")}
	got := g.create(t, whole(func(s string) string { return s }))
	want := whole(func(s string) string {
		if pin := pins[s]; pin != "" {
			return pin
		}
		return s
	})
	if diff := cmp.Diff(images(want), images(got)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	// What the API server says of the same Pod with the digests written by hand.
	want.Name, want.Namespace = "q", g.namespace
	if err := g.Create(t.Context(), want, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	want.Spec.Containers[2].ImagePullPolicy = corev1.PullAlways // of a tag that is latest
	got.Spec.Volumes, want.Spec.Volumes = nil, nil
	if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

// Whatever image change an update asks for, the pin stays if it is the same tag.
func TestTheSameTagAgainKeepsItsPin(t *testing.T) {
	g := newTagged(t)
	live := pod("nginx:1", "unknown:1", "r.example.com/app"+at("d"))
	live.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "team/app:1"}}
	live.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "r.example.com/app:1"}}}}
	live = g.create(t, live)
	pinned := []string{"team/app:1" + at("c"), "nginx:1" + at("b"), "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1" + at("d")}
	if diff := cmp.Diff(pinned, images(live)); diff != "" {
		t.Fatalf("made (-want +got):\n%s", diff)
	}
	// The tag moves. What runs, runs on.
	g.tags.Tags = map[string]string{"docker.io/library/nginx:1": hexOf("0"), "docker.io/team/app:1": hexOf("0"), "r.example.com/app:1": "Failed"}
	if err := g.Update(t.Context(), g.tags); err != nil {
		t.Fatal(err)
	}
	g.awaitPin(t, "nginx:1", "nginx:1"+at("0"))
	for _, test := range []struct {
		name   string
		images []string // init, three containers, volume
		want   []string
	}{
		{"the same manifest", []string{"team/app:1", "nginx:1", "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1"}, pinned},
		{"another form of the names", []string{"docker.io/team/app:1", "docker.io/library/nginx:1", "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1"}, pinned},
		{"another tag", []string{"team/app:2", "nginx:2", "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1"},
			[]string{"team/app:2", "nginx:2", "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1" + at("d")}},
		{"another repository", []string{"team/app:1", "evil.example/library/nginx:1", "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1"},
			[]string{"team/app:1" + at("c"), "evil.example/library/nginx:1", "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1" + at("d")}},
		{"another digest", []string{"team/app:1", "nginx:1" + at("0"), "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1"},
			[]string{"team/app:1" + at("c"), "nginx:1" + at("0"), "unknown:1", "r.example.com/app" + at("d"), "r.example.com/app:1" + at("d")}},
		{"the tag of another container", []string{"team/app:1", "nginx:1", "nginx:1", "r.example.com/app" + at("d"), "r.example.com/app:1"},
			[]string{"team/app:1" + at("c"), "nginx:1" + at("b"), "nginx:1", "r.example.com/app" + at("d"), "r.example.com/app:1" + at("d")}},
		{"a tag for a digest that nobody pinned", []string{"team/app:1", "nginx:1", "unknown:1", "r.example.com/app", "r.example.com/app:1"},
			[]string{"team/app:1" + at("c"), "nginx:1" + at("b"), "unknown:1", "r.example.com/app", "r.example.com/app:1" + at("d")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := live.DeepCopy()
			next.Spec.InitContainers[0].Image = test.images[0]
			for i := range 3 {
				next.Spec.Containers[i].Image = test.images[1+i]
			}
			next.Spec.Volumes[0].Image.Reference = test.images[4]
			if err := g.Update(t.Context(), next, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, images(next)); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("without the parameter", func(t *testing.T) {
		if err := g.Delete(t.Context(), g.tags); err != nil {
			t.Fatal(err)
		}
		g.awaitPin(t, "nginx:1", "nginx:1")
		next := live.DeepCopy()
		next.Labels = map[string]string{"a": "b"}
		next.Spec.Containers[0].Image = "nginx:1"
		if err := g.Update(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pinned, images(next)); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
		next.Finalizers = nil
		if err := g.Client.Delete(t.Context(), next); err != nil {
			t.Error(err)
		}
	})
}

func TestPinsEphemeralContainers(t *testing.T) {
	g := newTagged(t)
	live := g.create(t, pod("nginx:1"))
	debug := func(name, image string) corev1.EphemeralContainer {
		return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: image}}
	}
	live.Spec.EphemeralContainers = append(live.Spec.EphemeralContainers, debug("one", "team/app:1"))
	if err := g.SubResource("ephemeralcontainers").Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	want := []string{"nginx:1" + at("b"), "team/app:1" + at("c")}
	if diff := cmp.Diff(want, images(live)); diff != "" {
		t.Fatalf("images (-want +got):\n%s", diff)
	}
	// Another one beside it, by the patch that kubectl debug sends.
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []any{map[string]any{"name": "two", "image": "nginx"}, map[string]any{"name": "one", "image": "team/app:1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	g.tags.Tags = map[string]string{"docker.io/library/nginx:latest": hexOf("0"), "docker.io/team/app:1": hexOf("0")}
	if err := g.Update(t.Context(), g.tags); err != nil {
		t.Fatal(err)
	}
	g.awaitPin(t, "nginx", "nginx:latest"+at("0"))
	if err := g.SubResource("ephemeralcontainers").Patch(t.Context(), live, client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range live.Spec.EphemeralContainers {
		got[c.Name] = c.Image
	}
	if diff := cmp.Diff(map[string]string{"one": "team/app:1" + at("c"), "two": "nginx:latest" + at("0")}, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// GitOps would fight over a template that is not as it was written.
func TestTemplatesAreNotPinned(t *testing.T) {
	g := newTagged(t)
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: g.namespace}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod("nginx:1").Spec},
	}}
	if err := g.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != "nginx:1" {
		t.Errorf("the template's image is %s", got)
	}
	// Its Pod, as its controller makes it.
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "web-", Namespace: g.namespace, Labels: labels}, Spec: d.Spec.Template.Spec}
	if err := g.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := p.Spec.Containers[0].Image; got != "nginx:1"+at("b") {
		t.Errorf("the Pod's image is %s", got)
	}
}

// What a person does: the same file, applied twice, both ways to apply.
func TestKubectlApplyTwice(t *testing.T) {
	g := newTagged(t)
	for _, way := range []string{"--server-side=false", "--server-side=true"} {
		t.Run(way, func(t *testing.T) {
			p := pod("nginx:1", "team/app:1")
			p.Name = "applied-" + way[len("--server-side="):]
			p.Namespace, p.TypeMeta = g.namespace, metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "r.example.com/app:1"}}}}
			content, err := yaml.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "pod.yaml")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			want := []string{"nginx:1" + at("b"), "team/app:1" + at("c"), "r.example.com/app:1" + at("d")}
			for i := range 3 {
				out, err := runKubectl(t, "apply", way, "-f", file)
				if err != nil {
					t.Fatalf("time %d: %v\n%s", i, err, out)
				}
				var got corev1.Pod
				if err := g.Get(t.Context(), client.ObjectKeyFromObject(p), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, images(&got)); diff != "" {
					t.Errorf("time %d: images (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// runKubectl runs kubectl in this process.
func runKubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	var failure error
	cmdutil.BehaviorOnFatal(func(message string, _ int) { failure = errors.New(message) })
	defer cmdutil.DefaultBehaviorOnFatal()
	c := kubectl.NewKubectlCommand(kubectl.KubectlOptions{IOStreams: genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &out}})
	c.SetArgs(append([]string{"--kubeconfig", shared.Kubeconfig()}, args...))
	c.SetOut(&out)
	c.SetErr(&out)
	return out.String(), errors.Join(c.Execute(), failure)
}
