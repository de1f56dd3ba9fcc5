package tekton

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/sandbox"
)

// sample is a request as a listener receives it.
type sample struct {
	name   string
	data   RequestData
	header http.Header
	body   []byte
}

// newSamples returns requests that differ in everything in which real ones differ. The
// first knows only the image's digest, the second knows everything, and the third goes
// around the trigger's class, where runs may do so. A template that handles all of them
// handles every request.
func newSamples(ctx context.Context, trigger *v1alpha1.ImageTrigger) ([]sample, error) {
	inClass := newRequestSandbox(trigger.Spec.Sandbox, trigger.Spec.Sandbox.RuntimeClassName, false)
	plain, full := strings.Repeat("0a", 32), strings.Repeat("1b", 32)
	requests := []struct {
		name string
		tag  string
		data RequestData
	}{
		{"a request without facts of the image", "latest", RequestData{
			Run: "sample-" + plain[:32], EntryUID: "00000000-0000-4000-8000-000000000000",
			Cause: "Push", CauseKey: "latest@2006-01-02T15:04:05Z", Source: "event",
			Image: RequestImage{
				Reference: "registry.invalid/sample/a@sha256:" + plain, Repository: "sample/a", Digest: "sha256:" + plain,
				Tags: []string{"latest"}, Platforms: []string{}, Labels: map[string]string{},
			},
			Sandbox: inClass,
		}},
		{"a request with all facts of the image", "v1.0", RequestData{
			Run: "sample-" + full[:32], EntryUID: "11111111-1111-4111-8111-111111111111",
			Cause: "Manual", CauseKey: "again", Source: "webhook",
			Image: RequestImage{
				Reference: "registry.invalid/sample/b@sha256:" + full, Repository: "sample/b", Digest: "sha256:" + full,
				Tags: []string{"v1.0", "v1"}, MediaType: "application/vnd.oci.image.index.v1+json",
				Platforms: []string{"linux/amd64", "linux/arm64"},
				// Labels are their pusher's words.
				Labels:  map[string]string{"tier": `quote " dollar $(tt.params.run) brace {`},
				Created: "2006-01-02T15:04:05Z", Size: 1 << 30, Base: "docker.io/library/debian:12",
			},
			Sandbox:  inClass,
			Previous: RequestPrevious{Digest: "sha256:" + plain, Verdict: "pass"},
		}},
	}
	if sandbox.Detours(trigger.Spec.Sandbox) {
		around := requests[0]
		around.name = "a request around the sandbox"
		around.data.Sandbox = newRequestSandbox(trigger.Spec.Sandbox, "", true)
		requests = append(requests, around)
	}
	var samples []sample
	for _, r := range requests {
		s, err := newSample(ctx, r.name, Request{Source: SourcePath(trigger.Namespace, trigger.Name), Tag: r.tag, Data: r.data})
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// newSample encodes a request as Post does.
func newSample(ctx context.Context, name string, r Request) (sample, error) {
	req, err := newHTTPRequest(ctx, "http://sample.invalid/", r)
	if err != nil {
		return sample{}, err
	}
	body, err := json.Marshal(r.Data)
	if err != nil {
		return sample{}, fmt.Errorf("encoding %s: %w", name, err)
	}
	return sample{name: name, data: r.Data, header: req.Header, body: body}, nil
}
