package intake

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// notification serves POST /registries/<name>. Who sends is established before
// anything of the body is read.
func (h *Handler) notification(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	host, ok := h.webhooks.Host(name)
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Sprintf("the ConfigMap config-registries names no registry %q", image.Cut(name, 80)))
		return
	}
	token, ok := presented(r)
	if !ok {
		w.Header().Add("WWW-Authenticate", `Bearer realm="revet"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="revet"`)
		refuse(w, http.StatusUnauthorized, "an Authorization header is wanted: Bearer with a token, or Basic with a token as its password")
		return
	}
	if !h.webhooks.Authentic(name, token) {
		refuse(w, http.StatusForbidden, fmt.Sprintf("the token is none of those that the Secret registry-webhooks lists under the key %q", name))
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
		h.intake.Metrics.skip(r.Context(), string(i.Reason))
	}
	from := Endpoint{Host: host, Allows: func(namespace string) bool { return h.webhooks.Allows(name, namespace) }}
	h.reply(r.Context(), w, v1alpha1.SourceWebhook, h.intake.Notification(r.Context(), from, hints))
}

func (h *Handler) undecodable(w http.ResponseWriter, r *http.Request, err error) {
	result := Result{Status: Refused, Reason: Undecodable, Kind: registryKind, Err: err}
	var decode *webhook.DecodeError
	if errors.As(err, &decode) && decode.Reason == webhook.UnsupportedMediaType {
		h.intake.Metrics.event(r.Context(), v1alpha1.SourceWebhook, result)
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
