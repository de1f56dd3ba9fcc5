package upstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revet-dev/revet/test/cluster/fast"
)

// The API server of the fast tier accepts everything that is installed, and nothing ever runs there.
func TestOnAnAPIServer(t *testing.T) {
	cluster, err := fast.Start(t.Context(), fast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	config := rest.CopyConfig(cluster.RESTConfig())
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	manifests := upstreamManifests(t, Full)

	t.Run("everything of the full profile is accepted and then there", func(t *testing.T) {
		if err := (applier{client: dynamicClient}).apply(t.Context(), manifests); err != nil {
			t.Fatal(err)
		}
		for _, m := range manifests {
			if _, err := m.client(dynamicClient).Get(t.Context(), m.object.GetName(), metav1.GetOptions{}); err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
	})
	t.Run("what a webhook wrote into its configuration survives a repeated installation", func(t *testing.T) {
		testRepeatedInstall(t, dynamicClient, client, manifests)
	})
	t.Run("a Deployment that does not come up is named with what its Pod says", func(t *testing.T) {
		testUnavailable(t, client, manifests)
	})
	t.Run("an object that is refused is named", func(t *testing.T) {
		bad, err := component{name: "bad"}.load(map[string][]byte{
			"bad.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not A Name, namespace: default}\n"),
		}, references{})
		if err != nil {
			t.Fatal(err)
		}
		err = applier{client: dynamicClient}.apply(t.Context(), bad)
		if err == nil || !strings.Contains(err.Error(), "ConfigMap default/Not A Name") {
			t.Errorf("error is %v, want one that names the object", err)
		}
	})
}

func testRepeatedInstall(t *testing.T, d dynamic.Interface, k kubernetes.Interface, manifests []manifest) {
	const name = "webhook.pipeline.tekton.dev"
	configurations := k.AdmissionregistrationV1().MutatingWebhookConfigurations()
	w, err := configurations.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := "/written-by-the-webhook"
	w.Webhooks[0].ClientConfig.Service.Path = &path
	if _, err := configurations.Update(t.Context(), w, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := (applier{client: d}).apply(t.Context(), manifests); err != nil {
		t.Fatal(err)
	}
	got, err := configurations.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&path, got.Webhooks[0].ClientConfig.Service.Path); diff != "" {
		t.Errorf("path of the webhook's service, -want +got:\n%s", diff)
	}
}

func testUnavailable(t *testing.T, k kubernetes.Interface, manifests []manifest) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "imc-controller-1", Namespace: eventingNamespace},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "controller", Image: "image/x"}}},
	}
	pods := k.CoreV1().Pods(eventingNamespace)
	created, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:                 "controller",
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7, Message: "no configuration"}},
	}}
	if _, err := pods.UpdateStatus(t.Context(), created, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = waitAvailable(ctx, k, manifests, t.Logf)
	for _, want := range []string{
		"knative-eventing/imc-controller (CrashLoopBackOff, ended with 7: no configuration)",
		"tekton-pipelines/tekton-pipelines-webhook (no Pod)",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one that says %q", err, want)
		}
	}
}
