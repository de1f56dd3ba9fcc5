package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// What is applied again keeps its pin, wherever the tag stands by now. Nothing else of it is
// let through.
func TestPinsStayWhenTheSameTagIsAppliedAgain(t *testing.T) {
	beside(t)
	g := newPinned(t)
	live := podOf("nginx:1", "free.example/x:1", "r.example.com/app"+at("d"))
	withInit(live, "team/app:1")
	withVolume(live, "r.example.com/app:1")
	live = g.create(t, live)
	pins := []string{"team/app:1" + at("c"), "nginx:1" + at("b"), "free.example/x:1", "r.example.com/app" + at("d"), "r.example.com/app:1" + at("d")}
	if diff := cmp.Diff(pins, images(live)); diff != "" {
		t.Fatalf("made (-want +got):\n%s", diff)
	}
	g.knows(t, map[string]string{"docker.io/library/nginx:1": hexOf("9"), "docker.io/team/app:1": hexOf("9"), "r.example.com/app:1": "Failed"})
	g.awaitPin(t, "nginx:1", "nginx:1"+at("9"))
	digest := "r.example.com/app" + at("d")
	for _, test := range []struct {
		name   string
		images []string // of the init container, three containers, and the volume
		kept   bool
	}{
		{"the same manifest", []string{"team/app:1", "nginx:1", "free.example/x:1", digest, "r.example.com/app:1"}, true},
		{"another form of the names", []string{"docker.io/team/app:1", "docker.io/library/nginx:1", "free.example/x:1", digest, "r.example.com/app:1"}, true},
		{"another tag", []string{"team/app:1", "nginx:latest", "free.example/x:1", digest, "r.example.com/app:1"}, false},
		{"another tag of an init container", []string{"team/app:2", "nginx:1", "free.example/x:1", digest, "r.example.com/app:1"}, false},
		{"another repository", []string{"team/app:1", "evil.example/library/nginx:1", "free.example/x:1", digest, "r.example.com/app:1"}, false},
		{"another digest", []string{"team/app:1", "nginx:1" + at("9"), "free.example/x:1", digest, "r.example.com/app:1"}, false},
		{"the tag of another container", []string{"team/app:1", "nginx:1", "nginx:1", digest, "r.example.com/app:1"}, false},
		{"a tag where somebody wrote a digest", []string{"team/app:1", "nginx:1", "free.example/x:1", "r.example.com/app", "r.example.com/app:1"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := live.DeepCopy()
			next.Labels = map[string]string{"changed": "too"}
			next.Spec.InitContainers[0].Image = test.images[0]
			for i := range 3 {
				next.Spec.Containers[i].Image = test.images[1+i]
			}
			next.Spec.Volumes[0].Image.Reference = test.images[4]
			err := g.admin.Update(t.Context(), next, client.DryRunAll)
			if !test.kept {
				if a := (&answer{err: err}); a.refusedBy(t) != g.policy("changes") {
					t.Errorf("refused by %q: %v", a.refusedBy(t), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(pins, images(next)); diff != "" || next.Labels["changed"] != "too" {
				t.Errorf("labels %v, images (-want +got):\n%s", next.Labels, diff)
			}
		})
	}
	// Nothing that is missing locks a Pod that runs.
	if err := g.admin.Delete(t.Context(), g.tags); err != nil {
		t.Fatal(err)
	}
	g.await(t, "no Pod is made without the parameter", func() error {
		if g.becomes(t, "nginx:1") == "nginx:1"+at("9") {
			return errors.New("it is made")
		}
		return nil
	})
	live.Labels, live.Finalizers = map[string]string{"a": "b"}, []string{"example.com/f"}
	live.Spec.Containers[0].Image = "nginx:1"
	if err := g.admin.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pins, images(live)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	live.Finalizers = nil
	if err := g.admin.Update(t.Context(), live); err != nil {
		t.Error(err)
	}
}

func TestPinsEphemeralContainers(t *testing.T) {
	beside(t)
	g := newPinned(t)
	live := g.create(t, podOf("nginx:1"))
	live.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "one", Image: "team/app:1"}}}
	if err := g.admin.SubResource("ephemeralcontainers").Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"nginx:1" + at("b"), "team/app:1" + at("c")}, images(live)); diff != "" {
		t.Fatalf("images (-want +got):\n%s", diff)
	}
	// The tags move. One more is added, and the first is asked for again.
	g.knows(t, map[string]string{"docker.io/library/nginx:latest": hexOf("9"), "docker.io/team/app:1": hexOf("9")})
	g.awaitPin(t, "nginx", "nginx:latest"+at("9"))
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []any{
		map[string]any{"name": "two", "image": "nginx"}, map[string]any{"name": "one", "image": "team/app:1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.admin.SubResource("ephemeralcontainers").Patch(t.Context(), live, client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range live.Spec.EphemeralContainers {
		got[c.Name] = c.Image
	}
	if diff := cmp.Diff(map[string]string{"one": "team/app:1" + at("c"), "two": "nginx:latest" + at("9")}, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if got := live.Spec.Containers[0].Image; got != "nginx:1"+at("b") {
		t.Errorf("the container's image is %s", got)
	}
}

// GitOps would fight over a template that is not as it was written.
func TestPinsNoTemplate(t *testing.T) {
	beside(t)
	g := newPinned(t)
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: g.namespace}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podOf("nginx:1").Spec},
	}}
	if err := g.admin.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != "nginx:1" {
		t.Errorf("the template's image is %s", got)
	}
	// Its Pod, as its controller makes it.
	p := g.create(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "web-", Labels: labels}, Spec: d.Spec.Template.Spec})
	if got := p.Spec.Containers[0].Image; got != "nginx:1"+at("b") {
		t.Errorf("the Pod's image is %s", got)
	}
}

// What a person does: the same file, applied again, both ways to apply.
func TestPinsStayWhenKubectlAppliesTwice(t *testing.T) {
	beside(t)
	g := newPinned(t)
	for _, way := range []string{"client", "server"} {
		t.Run(way, func(t *testing.T) {
			p := podOf("nginx:1", "team/app:1")
			withVolume(p, "r.example.com/app:1")
			p.Name, p.GenerateName, p.Namespace = way, "", g.namespace
			p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
			content, err := yaml.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "pod.yaml")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			pins := []string{"nginx:1" + at("b"), "team/app:1" + at("c"), "r.example.com/app:1" + at("d")}
			for i := range 3 {
				if out, err := runKubectl(t, "apply", "--server-side="+map[bool]string{true: "true", false: "false"}[way == "server"], "-f", file); err != nil {
					t.Fatalf("time %d: %v\n%s", i, err, out)
				}
				var got corev1.Pod
				if err := g.admin.Get(t.Context(), client.ObjectKeyFromObject(p), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(pins, images(&got)); diff != "" {
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
