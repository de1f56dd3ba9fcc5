package openshift

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// bridgeHeader marks the bridge's own requests, which read a manifest before the stream shows it.
const bridgeHeader = "Revet-Bridge"

var manifestByDigest = regexp.MustCompile(`^/v2/(.+)/manifests/(sha256:[0-9a-f]{64})$`)

// Front stands before a registry and refuses to serve what OpenShift's registry, which answers from
// the streams, does not serve: a manifest by digest that no tag of the stream shows, neither by
// itself nor as a child of an index. HEAD in a stream that does not exist answers 500 there, so that
// crane's first push of an index into a new stream fails.
func (e *Emulation) Front(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := manifestByDigest.FindStringSubmatch(r.URL.Path)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !reads || path == nil || r.Header.Get(bridgeHeader) != "" {
			registry.ServeHTTP(w, r)
			return
		}
		key, ok, err := keyOf(path[1])
		if err != nil || !ok {
			registry.ServeHTTP(w, r) // its pushes are refused or ignored as well
			return
		}
		shown, err := e.shows(r.Context(), key, path[2])
		switch {
		case apierrors.IsNotFound(err) && r.Method == http.MethodHead:
			writeError(w, http.StatusInternalServerError, "UNKNOWN", "unknown error")
		case apierrors.IsNotFound(err), err == nil && !shown:
			writeError(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
		case err != nil:
			writeError(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the image streams cannot be read")
		default:
			registry.ServeHTTP(w, r)
		}
	})
}

// shows says whether a stream shows a digest.
func (e *Emulation) shows(ctx context.Context, key streamKey, digest string) (bool, error) {
	stream, err := e.objects.stream(ctx, key)
	if err != nil {
		return false, err
	}
	var images []string
	for _, t := range stream.Status.Tags {
		for _, item := range t.Items {
			if item.Image == digest {
				return true, nil
			}
			images = append(images, item.Image)
		}
	}
	slices.Sort(images)
	for _, name := range slices.Compact(images) {
		image, err := e.objects.image(ctx, name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(image.DockerImageManifests, func(m imagev1.ImageManifest) bool { return m.Digest == digest }) {
			return true, nil
		}
	}
	return false, nil
}

// writeError answers as the distribution specification shapes an error.
func writeError(w http.ResponseWriter, status int, code, message string) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client is gone if this fails, and nobody else could be told.
	_ = json.NewEncoder(w).Encode(map[string][]entry{"errors": {{Code: code, Message: message}}})
}
