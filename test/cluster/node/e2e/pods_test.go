//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/revet-dev/revet/test/cluster/node"
)

const (
	namespace  = "node-e2e"
	podTimeout = 60 * time.Second
	marker     = "gvisor"
)

// TestPodsRunAsOnAnyCluster runs Pods of both runtimes against everything that
// a Pod expects of a node: images, DNS, Services, and the kernel it asked for.
func TestPodsRunAsOnAnyCluster(t *testing.T) {
	o := options(t)
	info := up(t, o)
	c := client(t, info)
	create(t, c)
	pushProbe(t, info, namespace+"/probe:1")
	inCluster := info.RegistryInCluster + "/" + namespace + "/probe:1"
	serve(t, c, inCluster)

	host, err := os.ReadFile("/proc/version")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, class, image string
		args               []string
		want               func(output string) bool
	}{
		{"a Pod without a class sees the node's kernel", "", inCluster, []string{"version"},
			func(output string) bool { return output == string(host) }},
		{"a Pod of class kata sees gVisor's kernel", "kata", inCluster, []string{"version"},
			func(output string) bool { return strings.Contains(output, marker) }},
		{"an image can be named as it was pushed", "", info.RegistryHost + "/" + namespace + "/probe:1", []string{"version"},
			func(output string) bool { return output == string(host) }},
		{"a Pod finds a Service by its name", "", inCluster, []string{"lookup", "kubernetes.default.svc.cluster.local"},
			func(output string) bool { return output == "[10.96.0.1]\n" }},
		{"a Pod of class kata finds a Service by its short name", "kata", inCluster, []string{"lookup", "server"},
			func(output string) bool { return strings.HasPrefix(output, "[10.96.") }},
		{"a Pod reaches a Service's Pod", "", inCluster, []string{"get", "http://server/"},
			func(output string) bool { return output == string(host) }},
		{"a Pod of class kata reaches a Service's Pod", "kata", inCluster, []string{"get", "http://server/"},
			func(output string) bool { return output == string(host) }},
		{"a Pod of class kata reaches the registry", "kata", inCluster, []string{"get", "http://" + info.RegistryInCluster + "/v2/"},
			func(output string) bool { return output == "{}" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			began := time.Now()
			output := runPod(t, c, row.class, row.image, row.args...)
			t.Logf("%.1fs: %q", time.Since(began).Seconds(), output)
			if !row.want(output) {
				t.Errorf("unexpected output %q", output)
			}
		})
	}
	t.Run("a push made an ImageStream", func(t *testing.T) {
		stream, err := c.Discovery().RESTClient().Get().
			AbsPath("/apis/image.openshift.io/v1/namespaces/" + namespace + "/imagestreams/probe").DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"dockerImageRepository":"` + info.RegistryInCluster + "/" + namespace + `/probe"`,
			`"publicDockerImageRepository":"` + info.RegistryHost + "/" + namespace + `/probe"`,
		} {
			if !strings.Contains(string(stream), want) {
				t.Errorf("the stream lacks %s: %s", want, stream)
			}
		}
	})
	t.Run("a second up says what runs", func(t *testing.T) {
		again, err := node.Up(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if again.PID != info.PID || again.Kubeconfig != info.Kubeconfig {
			t.Errorf("got %+v, want %+v", again, info)
		}
	})
}

func create(t *testing.T, c kubernetes.Interface) {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := c.CoreV1().Namespaces().Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, podTimeout, func() error {
		_, err := c.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

func pod(name, class, image string, args ...string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, GenerateName: "probe-", Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64),
			Containers:                    []corev1.Container{{Name: "probe", Image: image, Args: args}},
		},
	}
	if class != "" {
		p.Spec.RuntimeClassName = &class
	}
	return p
}

// serve starts a server behind a Service.
func serve(t *testing.T, c kubernetes.Interface, image string) {
	t.Helper()
	server := pod("server", "", image, "serve", ":8080")
	if _, err := c.CoreV1().Pods(namespace).Create(t.Context(), server, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "server"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	if _, err := c.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, podTimeout, func() error {
		return phase(t.Context(), c, "server", corev1.PodRunning)
	})
}

func phase(ctx context.Context, c kubernetes.Interface, name string, want corev1.PodPhase) error {
	p, err := c.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if p.Status.Phase != want {
		return fmt.Errorf("Pod %q is %s: %+v", name, p.Status.Phase, p.Status.ContainerStatuses)
	}
	return nil
}

// runPod runs a Pod to its end and returns what it printed.
func runPod(t *testing.T, c kubernetes.Interface, class, image string, args ...string) string {
	t.Helper()
	p, err := c.CoreV1().Pods(namespace).Create(t.Context(), pod("", class, image, args...), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, podTimeout, func() error { return phase(t.Context(), c, p.Name, corev1.PodSucceeded) })
	output, err := c.CoreV1().Pods(namespace).GetLogs(p.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}
