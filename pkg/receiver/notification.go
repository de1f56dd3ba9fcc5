package receiver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// notification serves POST /registries/<name>. It checks the sender's token before it reads
// anything of the body.
func (h *Handler) notification(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	host, ok := h.webhooks.Host(name)
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Sprintf("the ConfigMap config-registries lists no registry of the name %q", image.Cut(name, 80)))
		return
	}
	token, ok := presented(r)
	if !ok {
		w.Header().Add("WWW-Authenticate", `Bearer realm="revet"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="revet"`)
		refuse(w, http.StatusUnauthorized, "send an Authorization header: Bearer with the token, or Basic with the token as the password")
		return
	}
	if !h.webhooks.Authentic(name, token) {
		refuse(w, http.StatusForbidden, fmt.Sprintf("the Secret registry-webhooks does not list this token under the key %q", name))
		return
	}
	body, release, ok := h.body(w, r, h.limits.WebhookBody)
	if !ok {
		return
	}
	defer release()
	hints, ignored, err := webhook.Decode(r.Header.Get("Content-Type"), body)
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

// presented returns the token that a request carries.
func presented(r *http.Request) (string, bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
