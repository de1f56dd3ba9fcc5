package gate

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A mesh's webhook adds its container after the policies that pin have had their turn.
func TestPinsWhatAWebhookAdds(t *testing.T) {
	beside(t)
	g := newPinned(t)
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		patchType := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, PatchType: &patchType,
			Patch: []byte(`[{"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy", "image": "team/app:1"}}]`)}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(hook.Close)
	none, fail, never := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail, admissionregistrationv1.NeverReinvocationPolicy
	g.make(t, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "proxy-" + g.gate.Name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "proxy.example.com", SideEffects: &none, FailurePolicy: &fail, ReinvocationPolicy: &never, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &hook.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"gated": g.namespace}},
		}},
	})
	// Both a Pod of which something was pinned before, and one of which nothing was.
	for _, image := range []string{"nginx:1" + at("b"), "nginx:1"} {
		g.await(t, "the webhook's container is pinned beside "+image, func() error {
			p := podOf(image)
			p.Namespace = g.namespace
			if err := g.admin.Create(t.Context(), p, client.DryRunAll); err != nil {
				return err
			}
			if len(p.Spec.Containers) != 2 {
				return errors.New("the webhook is not called yet")
			}
			for i, want := range []string{"nginx:1" + at("b"), "team/app:1" + at("c")} {
				if got := p.Spec.Containers[i].Image; got != want {
					t.Fatalf("image %d is %s, want %s", i, got, want)
				}
			}
			return nil
		})
	}
}
