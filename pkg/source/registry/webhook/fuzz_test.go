package webhook_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// Every recorded body, and whatever a registry is made to say, is decoded or
// refused: each event is a hint or ignored for a reason, and every hint is one
// that can be looked up.
func FuzzNotification(f *testing.F) {
	dir := os.DirFS(recordings)
	files, err := fs.Glob(dir, "*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := fs.ReadFile(dir, file)
		if err != nil {
			f.Fatal(err)
		}
		var request struct{ Body json.RawMessage }
		if err := json.Unmarshal(content, &request); err != nil {
			f.Fatal(err)
		}
		f.Add(webhook.DistributionV2, []byte(request.Body))
	}
	f.Add(webhook.DistributionV1+"; charset=utf-8", []byte(`{"events":[{},null]}`))
	f.Add("application/json", []byte(`{}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		hints, ignored, err := decode(t, contentType, body)
		if err != nil {
			var decodeErr *webhook.DecodeError
			if !errors.As(err, &decodeErr) || decodeErr.Reason == "" || len(hints)+len(ignored) > 0 {
				t.Errorf("%d hints beside the error %v", len(hints), err)
			}
			return
		}
		var sent struct{ Events []json.RawMessage }
		if err := json.Unmarshal(body, &sent); err != nil || len(hints)+len(ignored) != len(sent.Events) {
			t.Errorf("%d hints and %d ignored of %d events: %v", len(hints), len(ignored), len(sent.Events), err)
		}
		for _, h := range hints {
			usable(t, h)
		}
		for _, i := range ignored {
			if i.Reason == "" || i.Position < 0 || i.Position >= len(sent.Events) {
				t.Errorf("ignored without reason or place: %+v", i)
			}
		}
	})
}

func usable(t *testing.T, h webhook.Hint) {
	t.Helper()
	r, err := h.Repository("registry.example")
	if err != nil || r.Host() != "registry.example" || r.Path() != h.ClaimedPath {
		t.Errorf("repository %v of %+v: %v", r, h, err)
	}
	if !image.ValidTag(h.Tag) {
		t.Errorf("the tag %q is none", h.Tag)
	}
}

// Whatever one event says, the next one of the envelope is found.
func FuzzHostileEvent(f *testing.F) {
	const oci = "application/vnd.oci.image.manifest.v1+json"
	f.Add("push", oci, "team/app", "v1", "sha256:"+hexA)
	f.Add("push", oci, "../../etc", `"$(reboot)'`, "sha256:00")
	f.Add("delete", "", "", "", "")
	f.Fuzz(func(t *testing.T, action, mediaType, path, tag, digest string) {
		body := `{"events":[` + event(action, mediaType, path, tag, digest) + "," + event("push", oci, "team/good", "v9", "sha256:"+hexA) + `]}`
		hints, ignored, err := decode(t, webhook.DistributionV2, []byte(body))
		if err != nil || len(hints)+len(ignored) != 2 {
			t.Fatalf("%d hints, %d ignored, error %v", len(hints), len(ignored), err)
		}
		last := hints[len(hints)-1]
		if last.ClaimedPath != "team/good" || last.Tag != "v9" || last.ClaimedDigest.Hex() != hexA {
			t.Errorf("the good event became %+v", last)
		}
		for _, h := range hints {
			usable(t, h)
			if h.ClaimedDigest.String() != digest && !h.ClaimedDigest.IsZero() && h != last {
				t.Errorf("the digest %q became %v", digest, h.ClaimedDigest)
			}
		}
	})
}
