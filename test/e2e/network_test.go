//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/stack"
)

const (
	networkNamespace  = "e2e-network"
	strangerNamespace = "e2e-stranger"
	metricsNamespace  = "e2e-metrics"
	reachProgram      = "github.com/revet-dev/revet/test/e2e/reach"
	// reachContainer is the container of that program in a Pod.
	reachContainer = "reach"
	// metadata is where clouds hand out credentials; a Pod of the node serves it here.
	metadata = "169.254.169.254"
	// enforceTimeout is ample for kube-router to enforce what changed, on two busy cores.
	enforceTimeout = 2 * time.Minute
)

// networkLabel of the pipeline's Pods says what they may reach.
const networkLabel = "revet.dev/network"

func ofNetwork(value string) map[string]string { return map[string]string{networkLabel: value} }

// labelsOf are those that the policies know a program of Revet's by.
func labelsOf(program string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": program, "app.kubernetes.io/part-of": "revet"}
}

// ofPipeline is the target that is a Pod of the pipeline.
func ofPipeline(pod string) string { return "Pod of the pipeline, " + pod }

// reached says what became of each attempt.
type reached map[string]string

func attempt(actor, target string) string { return actor + " -> " + target }

// network is who tries to reach what.
type network struct {
	*env
	image string
	// actors are namespace and name of the Pods that try, by their names in the test.
	actors map[string]client.ObjectKey
	// targets are the addresses that they try, by their names in the test.
	targets map[string]string
}

// With config/ and triggers/ as shipped, Pods reach of Revet and of a pipeline what
// docs/security.md says, and nothing else; without the policies, they reach all of it.
func TestNetworkPoliciesAreEnforced(t *testing.T) {
	n := newNetwork(t)
	outside := []string{"DNS", "registry", "API server", "metadata", "metadata, 443"}
	metrics := []string{"receiver's metrics", "controller's metrics", "attestor's metrics"}
	want := n.expect(map[string][]string{
		"a stranger":                      outside,
		"a Pod of the namespace":          slices.Concat(outside, []string{"receiver"}),
		"a Pod that reads metrics":        slices.Concat(outside, metrics),
		"a Pod of knative-eventing":       slices.Concat(outside, []string{"receiver"}),
		"Revet's receiver":                outside,
		"Revet's controller":              slices.Concat(outside, []string{"listener", "listener's Pod"}),
		"a Pod that reads registries":     {"DNS", "registry", ofPipeline("registries")}, // itself
		"a Pod of a Task without network": {ofPipeline("none")},
	})
	n.await(t, "the shipped policies", want)

	t.Cleanup(func() { n.restore(context.WithoutCancel(t.Context()), t) })
	n.kubectl(t, "delete", "networkpolicies", "--all", "-n", stack.System)
	n.kubectl(t, "delete", "networkpolicies", "--all", "-n", networkNamespace)
	everything := map[string][]string{}
	for actor := range n.actors {
		for target := range n.targets {
			everything[actor] = append(everything[actor], target)
		}
	}
	n.await(t, "no policies", n.expect(everything))
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	if err := cluster.AddNamespace(t.Context(), networkNamespace, stack.None); err != nil {
		t.Fatal(err)
	}
	image, err := cluster.KoBuild(t.Context(), "test", reachProgram)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{
		env: envOf(t, networkNamespace), image: image,
		actors: map[string]client.ObjectKey{}, targets: map[string]string{},
	}
	n.addNamespace(t, strangerNamespace, nil)
	n.addNamespace(t, metricsNamespace, map[string]string{"revet.dev/metrics": "true"})
	n.addPod(t, "a stranger", strangerNamespace, labelsOf("controller"))
	n.addPod(t, "a Pod of the namespace", networkNamespace, labelsOf("controller"))
	n.addPod(t, "a Pod that reads metrics", metricsNamespace, nil)
	n.addPod(t, "a Pod of knative-eventing", "knative-eventing", nil)
	pipeline := []client.ObjectKey{
		n.addPod(t, "a Pod that reads registries", networkNamespace, ofNetwork("registries")),
		n.addPod(t, "a Pod of a Task without network", networkNamespace, ofNetwork("none")),
	}
	n.serveMetadata(t)
	n.addRevet(t)
	n.kubectl(t, "rollout", "status", "-n", networkNamespace, "deployment/el-scan-and-validate",
		"--timeout=120s")
	n.addServices(t)
	listener := n.podsOf(t, networkNamespace, map[string]string{"eventlistener": "scan-and-validate"})
	n.target("listener's Pod", listener[0].Status.PodIP, 8080)
	for _, pod := range pipeline {
		n.target(ofPipeline(pod.Name), n.ready(t, pod).Status.PodIP, 8080)
	}
	for _, actor := range n.actors {
		n.ready(t, actor)
	}
	return n
}

// addRevet adds Revet's own Pods: the controller's and the receiver's try, and others of them
// are tried, as what a Pod reaches of itself tells nothing.
func (n *network) addRevet(t *testing.T) {
	t.Helper()
	for _, name := range []string{"receiver", "controller", "attestor"} {
		pods := n.podsOf(t, stack.System, labelsOf(name))
		target := pods[len(pods)-1].Status.PodIP
		n.target(name+"'s metrics", target, 9090)
		if name == "receiver" {
			n.target(name, target, 8080)
		}
		if name != "attestor" {
			if len(pods) < 2 {
				t.Fatalf("%d Pods of the %s, want two", len(pods), name)
			}
			n.enter(t, "Revet's "+name, &pods[0])
		}
	}
}

// addServices adds what is tried by its Service.
func (n *network) addServices(t *testing.T) {
	t.Helper()
	for name, service := range map[string]client.ObjectKey{
		"listener":   {Namespace: networkNamespace, Name: "el-scan-and-validate"},
		"DNS":        {Namespace: "kube-system", Name: "kube-dns"},
		"registry":   {Namespace: "openshift-image-registry", Name: "image-registry"},
		"API server": {Namespace: "default", Name: "kubernetes"},
	} {
		var got corev1.Service
		if err := n.client.Get(t.Context(), service, &got); err != nil {
			t.Fatal(err)
		}
		n.target(name, got.Spec.ClusterIP, got.Spec.Ports[0].Port)
	}
}

func (n *network) target(name, host string, port int32) {
	n.targets[name] = net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func (n *network) addNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if err := n.client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
}

// addPod makes a Pod that tries, and that others try to reach.
func (n *network) addPod(
	t *testing.T, actor, namespace string, labels map[string]string,
) client.ObjectKey {
	t.Helper()
	name := "reach"
	if value, ok := labels[networkLabel]; ok {
		name = value
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  new(bool),
			TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{
				Name: reachContainer, Image: n.image, Args: []string{"serve", ":8080"},
			}},
		},
	}
	n.createPod(t, pod)
	n.actors[actor] = client.ObjectKeyFromObject(pod)
	return n.actors[actor]
}

// createPod makes a Pod once the namespace has the account that it runs as.
func (n *network) createPod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	message := func() string { return "Pod " + pod.Name }
	await(t, time.Minute, message, func(ctx context.Context) (bool, error) {
		err := n.client.Create(ctx, pod.DeepCopy())
		return err == nil || apierrors.IsAlreadyExists(err), err
	})
	t.Cleanup(func() { _ = n.client.Delete(context.WithoutCancel(t.Context()), pod) })
}

// serveMetadata has the node answer where clouds hand out credentials.
func (n *network) serveMetadata(t *testing.T) {
	t.Helper()
	root := int64(0)
	n.target("metadata", metadata, 80)
	n.target("metadata, 443", metadata, 443)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: strangerNamespace, Name: "metadata"},
		Spec: corev1.PodSpec{
			HostNetwork: true, TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{
				Name: reachContainer, Image: n.image,
				Args: []string{"serve", n.targets["metadata"], n.targets["metadata, 443"]},
				SecurityContext: &corev1.SecurityContext{
					RunAsUser: &root, Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}},
				},
			}},
		},
	}
	n.createPod(t, pod)
	n.ready(t, client.ObjectKeyFromObject(pod))
}

// enter puts the program into a Pod of Revet's own.
func (n *network) enter(t *testing.T, actor string, pod *corev1.Pod) {
	t.Helper()
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: reachContainer, Image: n.image, Args: []string{"serve", "127.0.0.1:18080"},
			// The namespace takes no other containers.
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(bool),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		},
	})
	pods := n.clientset.CoreV1().Pods(pod.Namespace)
	_, err := pods.UpdateEphemeralContainers(t.Context(), pod.Name, pod, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.actors[actor] = client.ObjectKeyFromObject(pod)
}

// podsOf returns the Pods that have an address, of which there must be some.
func (n *network) podsOf(
	t *testing.T, namespace string, labels map[string]string,
) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	selected := client.MatchingLabels(labels)
	if err := n.client.List(t.Context(), &list, client.InNamespace(namespace), selected); err != nil {
		t.Fatal(err)
	}
	running := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.PodIP == ""
	})
	if len(running) == 0 {
		t.Fatalf("no Pod runs in %s with %v", namespace, labels)
	}
	return running
}

// ready waits until the program runs in a Pod.
func (n *network) ready(t *testing.T, key client.ObjectKey) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	message := func() string { return fmt.Sprintf("%s running: %+v", key, pod.Status) }
	await(t, time.Minute, message, func(ctx context.Context) (bool, error) {
		if err := n.client.Get(ctx, key, &pod); err != nil {
			return false, err
		}
		s := pod.Status
		for _, c := range slices.Concat(s.ContainerStatuses, s.EphemeralContainerStatuses) {
			if c.Name == reachContainer && c.State.Running != nil {
				return true, nil
			}
		}
		return false, nil
	})
	return &pod
}

// expect is that each actor reaches the targets named, and is refused at the others.
func (n *network) expect(reach map[string][]string) reached {
	want := reached{}
	for actor := range n.actors {
		for target := range n.targets {
			want[attempt(actor, target)] = "refused"
			if slices.Contains(reach[actor], target) {
				want[attempt(actor, target)] = "reached"
			}
		}
	}
	return want
}

// await waits until everybody reaches what is wanted.
func (n *network) await(t *testing.T, when string, want reached) {
	t.Helper()
	began := time.Now()
	last := "nothing was tried"
	message := func() string { return when + ": " + last }
	await(t, enforceTimeout, message, func(ctx context.Context) (bool, error) {
		got, err := n.try(ctx)
		if err != nil {
			return false, err
		}
		last = differences(want, got)
		return last == "", nil
	})
	t.Logf("with %s, as expected after %s", when, time.Since(began).Round(100*time.Millisecond))
}

func differences(want, got reached) string {
	var lines []string
	for _, tried := range slices.Sorted(maps.Keys(want)) {
		if got[tried] != want[tried] {
			lines = append(lines, fmt.Sprintf("\n%s: %s, want %s", tried, got[tried], want[tried]))
		}
	}
	return strings.Join(lines, "")
}

// try has each actor try each target.
func (n *network) try(ctx context.Context) (reached, error) {
	names := slices.Sorted(maps.Keys(n.targets))
	addresses := make([]string, len(names))
	for i, name := range names {
		addresses[i] = n.targets[name]
	}
	got, mu := reached{}, sync.Mutex{}
	all, ctx := errgroup.WithContext(ctx)
	for actor, pod := range n.actors {
		all.Go(func() error {
			args := []string{"exec", "-n", pod.Namespace, pod.Name, "-c", reachContainer, "--"}
			args = append(args, "/ko-app/reach", "dial")
			out, err := cluster.Kubectl(ctx, append(args, addresses...)...)
			if err != nil {
				return err
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if len(lines) != len(names) {
				return fmt.Errorf("%s: %d lines for %d targets: %s", actor, len(lines), len(names), out)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, name := range names {
				got[attempt(actor, name)] = lines[i]
			}
			return nil
		})
	}
	return got, all.Wait()
}

// restore applies the shipped policies again.
func (n *network) restore(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"apply", "-f", "config/700-networkpolicies.yaml"},
		{"apply", "-n", networkNamespace, "-f", "triggers/410-networkpolicies.yaml"},
	} {
		if out, err := cluster.Kubectl(ctx, args...); err != nil {
			t.Errorf("kubectl %v: %v\n%s", args, err, out)
		}
	}
}
