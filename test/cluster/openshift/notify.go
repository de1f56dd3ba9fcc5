package openshift

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/test/cluster/registry"
)

// notificationLimit is far above what a registry sends at once.
const notificationLimit = 8 << 20

// envelope is the part of Distribution's notifications that matters here.
type envelope struct {
	Events []struct {
		Timestamp time.Time `json:"timestamp"`
		Action    string    `json:"action"`
		Target    struct {
			MediaType  types.MediaType `json:"mediaType"`
			Digest     v1.Hash         `json:"digest"`
			Repository string          `json:"repository"`
			Tag        string          `json:"tag"`
		} `json:"target"`
	} `json:"events"`
}

// ServeHTTP takes notifications of a Distribution registry.
func (e *Emulation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "notifications are posted", http.StatusMethodNotAllowed)
		return
	}
	var body envelope
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, notificationLimit)).Decode(&body); err != nil {
		http.Error(w, "this is no notification of a Distribution registry", http.StatusBadRequest)
		return
	}
	for _, event := range body.Events {
		target := event.Target
		if event.Action != "push" || !target.MediaType.IsImage() && !target.MediaType.IsIndex() {
			continue
		}
		err := e.told(r.Context(), registry.Push{Repository: target.Repository, Tag: target.Tag, Digest: target.Digest}, event.Timestamp)
		if refused := (*registry.Refused)(nil); errors.As(err, &refused) {
			e.options.Log.Warn("a push is ignored", "stream", target.Repository, "tag", target.Tag, "digest", target.Digest.String(), "error", err)
			continue
		}
		if err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the image streams could not be written yet", http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}
