//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// verdictTimeout is ample for one run under gVisor on two busy cores.
const verdictTimeout = 3 * time.Minute

// env is what one test works with.
type env struct {
	client    client.Client
	clientset *kubernetes.Clientset
	namespace string
}

// newEnv makes a namespace whose pushes are verified, with the database of all tests.
func newEnv(t *testing.T, namespace string, source stack.Source) *env {
	t.Helper()
	if err := cluster.AddNamespace(t.Context(), namespace, source); err != nil {
		t.Fatal(err)
	}
	if err := cluster.NameDatabase(t.Context(), namespace, database); err != nil {
		t.Fatal(err)
	}
	return envOf(t, namespace)
}

// envOf works with a namespace that is there.
func envOf(t *testing.T, namespace string) *env {
	t.Helper()
	config, err := cluster.Config()
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &env{client: c, clientset: clientset, namespace: namespace}
}

// ready declares the trigger and waits for it and for the source.
func (w *env) ready(t *testing.T, source stack.Source) {
	t.Helper()
	if err := cluster.AddTrigger(t.Context(), w.namespace); err != nil {
		t.Fatal(err)
	}
	if source == stack.None {
		return
	}
	if err := cluster.WaitSource(t.Context(), w.namespace); err != nil {
		t.Fatal(err)
	}
}

// push pushes a sample with the crane command, as its users do, and returns its
// digest. The salt keeps the digests of different tests apart.
func (w *env) push(t *testing.T, repository string, sample images.Sample) string {
	t.Helper()
	return w.pushSalted(t, repository, sample, w.namespace)
}

// pushSalted is push for a digest of its own.
func (w *env) pushSalted(t *testing.T, repository string, sample images.Sample, salt string) string {
	t.Helper()
	dir := t.TempDir()
	digest, err := images.Save(dir, sample, images.Options{Now: time.Now(), Salt: salt})
	if err != nil {
		t.Fatal(err)
	}
	stream, _, _ := strings.Cut(repository, ":")
	w.stream(t, stream)
	tag := fmt.Sprintf("%s/%s/%s", cluster.Info.RegistryHost, w.namespace, repository)
	out, err := exec.CommandContext(t.Context(), crane, "push", dir, tag).CombinedOutput()
	if err != nil {
		t.Fatalf("crane push %s: %v\n%s", tag, err, out)
	}
	return digest.String()
}

// stream creates an ImageStream, unless a push already did. OpenShift's registry answers 500
// to a client that asks for the child of an index in a stream that does not exist.
func (w *env) stream(t *testing.T, name string) {
	t.Helper()
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.client.Create(t.Context(), stream); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// verdict waits for the end of the digest's entry.
func (w *env) verdict(t *testing.T, digest string) *v1alpha1.ImageVerification {
	t.Helper()
	var last string
	var found *v1alpha1.ImageVerification
	await(t, verdictTimeout, func() string { return "the verdict for " + digest + ": " + last }, func(ctx context.Context) (bool, error) {
		var list v1alpha1.ImageVerificationList
		if err := w.client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		last = fmt.Sprintf("none of %d entries is of it", len(list.Items))
		for i, entry := range list.Items {
			if entry.Spec.Digest != digest {
				continue
			}
			last = fmt.Sprintf("%s is %s: %s: %s", entry.Name, entry.Status.Phase, entry.Status.Reason, entry.Status.Message)
			switch entry.Status.Phase {
			case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped:
				found = &list.Items[i]
				return true, nil
			case v1alpha1.PhasePending, v1alpha1.PhaseRequested, v1alpha1.PhaseRunning:
			}
		}
		return false, nil
	})
	return found
}

// runsOf returns the namespace's PipelineRuns for a digest.
func (w *env) runsOf(t *testing.T, digest string) []pipelinev1.PipelineRun {
	t.Helper()
	var list pipelinev1.PipelineRunList
	if err := w.client.List(t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
	var runs []pipelinev1.PipelineRun
	for _, run := range list.Items {
		if run.Annotations[v1alpha1.DigestAnnotation] == digest {
			runs = append(runs, run)
		}
	}
	return runs
}

// podsOf returns the Pods of a run.
func (w *env) podsOf(t *testing.T, run string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := w.client.List(t.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{"tekton.dev/pipelineRun": run}); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// logOf returns what a container printed.
func (w *env) logOf(t *testing.T, pod, container string) string {
	t.Helper()
	stream, err := w.clientset.CoreV1().Pods(w.namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container}).Stream(t.Context())
	if err != nil {
		t.Fatalf("reading the log of %s/%s: %v", pod, container, err)
	}
	defer stream.Close()
	content, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// await polls until the condition holds. message says what was awaited, and
// what was seen instead.
func await(t *testing.T, timeout time.Duration, message func() string, condition func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	var lastErr error
	for {
		ok, err := condition(ctx)
		if ok {
			return
		}
		if err != nil {
			lastErr = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("gave up after %s on %s (last error: %v)", timeout, message(), lastErr)
		}
	}
}
