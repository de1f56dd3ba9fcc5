//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// On a cluster without ImageStreams, a registry's own notification is enough:
// the push is re-read from the registry, recorded and verified. A notification
// that is not authenticated would be refused; pkg/app tests that.
func TestRegistryNotificationIsVerified(t *testing.T) {
	w := newEnv(t, "e2e-plain", stack.None)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.System, Name: "registry-webhooks"},
		StringData: map[string]string{"local": webhookToken},
	}
	if err := w.client.Create(t.Context(), secret); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	trigger := fmt.Sprintf(`apiVersion: revet.dev/v1alpha1
kind: ImageTrigger
metadata:
  name: registry
  namespace: %s
spec:
  images:
  - repository: %s/%s/**
  sink: {ref: {name: scan-and-validate}}
  sandbox: {runtimeClassName: kata}
`, w.namespace, cluster.Info.RegistryInCluster, w.namespace)
	if err := cluster.Apply(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	// The first sweep decides what was there before; a push before its end would
	// be seen by it.
	w.awaitSwept(t, "registry")
	digest := w.push(t, "app:1", images.Good())
	entry := w.verdict(t, digest)
	if entry.Status.Phase != v1alpha1.PhasePassed {
		t.Errorf("phase = %s (%s: %s), want Passed", entry.Status.Phase, entry.Status.Reason, entry.Status.Message)
	}
	if entry.Spec.Repository.Kind != v1alpha1.RepositoryRegistry || entry.Spec.FirstPush.Source != v1alpha1.SourceWebhook {
		t.Errorf("recorded as %s seen by %s, want Registry seen by webhook", entry.Spec.Repository.Kind, entry.Spec.FirstPush.Source)
	}
	checkRun(t, w, entry)
}

func (w *env) awaitSwept(t *testing.T, trigger string) {
	t.Helper()
	var last []metav1.Condition
	await(t, time.Minute, func() string {
		return fmt.Sprintf("trigger %s being Ready and swept; its conditions: %v", trigger, last)
	}, func(ctx context.Context) (bool, error) {
		var got v1alpha1.ImageTrigger
		if err := w.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: trigger}, &got); err != nil {
			return false, err
		}
		last = got.Status.Conditions
		ready, swept := false, false
		for _, c := range last {
			ready = ready || c.Type == "Ready" && c.Status == metav1.ConditionTrue
			swept = swept || c.Type == "Swept" && c.Status == metav1.ConditionTrue
		}
		return ready && swept, nil
	})
}
