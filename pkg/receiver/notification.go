package receiver

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// notification serves POST /registries/<name>. It checks a token before it reads anything of
// the body, and a signature before it decodes the body.
func (h *Handler) notification(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	host, ok := h.webhooks.Host(name)
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Sprintf("the ConfigMap config-registries lists no registry of the name %q", image.Cut(name, 80)))
		return
	}
	vendor, request := h.webhooks.Vendor(name), webhook.Request{Header: r.Header, Query: r.URL.Query()}
	proof, err := vendor.Proof(request)
	if err != nil {
		w.Header().Add("WWW-Authenticate", `Bearer realm="revet"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="revet"`)
		refuse(w, http.StatusUnauthorized, err.Error())
		return
	}
	forged := func() {
		refuse(w, http.StatusForbidden, fmt.Sprintf("no token under the key %q of the Secret registry-webhooks proves this request", name))
	}
	if !proof.OfBody() && !proof.Valid(h.webhooks.Secrets(name), nil) {
		forged()
		return
	}
	body, release, ok := h.body(w, r, h.limits.WebhookBody)
	if !ok {
		return
	}
	defer release()
	if proof.OfBody() && !proof.Valid(h.webhooks.Secrets(name), body) {
		forged()
		return
	}
	hints, ignored, err := webhook.Decode(vendor, request, body)
	if err != nil {
		h.undecodable(w, r, err)
		return
	}
	for _, i := range ignored {
		h.intake.Metrics.Skip(r.Context(), string(i.Reason))
	}
	from := intake.Endpoint{Host: host, Allows: func(namespace string) bool { return h.webhooks.Allows(name, namespace) }}
	h.reply(r.Context(), w, v1alpha1.SourceWebhook, h.intake.Notification(r.Context(), from, hints))
}

func (h *Handler) undecodable(w http.ResponseWriter, r *http.Request, err error) {
	result := intake.Result{Status: intake.Refused, Reason: intake.Undecodable, Kind: intake.KindRegistry, Err: err}
	var decode *webhook.DecodeError
	if errors.As(err, &decode) && decode.Reason == webhook.UnsupportedMediaType {
		h.intake.Metrics.Event(r.Context(), v1alpha1.SourceWebhook, result)
		refuse(w, http.StatusUnsupportedMediaType, err.Error())
		return
	}
	h.reply(r.Context(), w, v1alpha1.SourceWebhook, result)
}
