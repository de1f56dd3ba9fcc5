package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

const (
	recordings = "../../../../test/events/distribution"
	hexA       = "d8336525ed8ad22eb9240474186c9b0ff67ab6a76651e48591d4ce3a58e488b7"
)

// decode decodes a body as the default vendor's.
func decode(t *testing.T, contentType string, body []byte) ([]webhook.Hint, []webhook.Ignored, error) {
	t.Helper()
	v, ok := webhook.VendorOf("")
	if !ok {
		t.Fatal("no default vendor")
	}
	return webhook.Decode(v, webhook.Request{Header: http.Header{"Content-Type": {contentType}}}, body)
}

// lines prints what was decoded so that a test row can spell it out.
func lines(hints []webhook.Hint, ignored []webhook.Ignored) []string {
	var got []string
	for _, h := range hints {
		got = append(got, fmt.Sprintf("%s:%s@%.8s %s", h.ClaimedPath, h.Tag, h.ClaimedDigest.Hex(), h.ClaimedMediaType))
	}
	for _, i := range ignored {
		got = append(got, fmt.Sprintf("%d ignored: %s", i.Position, i.Reason))
	}
	return got
}

// Every recorded request of a real registry, in both media types.
func TestRecordedNotifications(t *testing.T) {
	const (
		docker = "application/vnd.docker.distribution.manifest.v2+json"
		index  = "application/vnd.oci.image.index.v1+json"
		oci    = "application/vnd.oci.image.manifest.v1+json"
	)
	want := map[string]string{
		"distribution-001.json": "0 ignored: NotManifest",
		"distribution-003.json": "acme/base:1.0@d8336525 " + docker,
		"distribution-004.json": "0 ignored: NotPush",
		"distribution-007.json": "acme/app:v1@98ff80cb " + docker,
		"distribution-022.json": "0 ignored: Untagged",
		"distribution-024.json": "acme/multi:v1@b860d9d7 " + index,
		"distribution-028.json": "acme/multi:sha256-b860d9d7a9be31ecc421ee555cb3aa8794badce0d53618b159d5a8ecb53f0e0c@d3a56b8a " + index,
		"distribution-036.json": "acme/vulnapp:sha256-4ddbaab17475fc45ef573b42c8b542948f17d60e9cf7ac4f541e094183cbecb0@6458053a " + index,
		"distribution-039.json": "acme/vulnapp:sha256-4ddbaab17475fc45ef573b42c8b542948f17d60e9cf7ac4f541e094183cbecb0.att@b3154594 " + oci,
		"distribution-040.json": "0 ignored: NotPush",
		"distribution-041.json": "0 ignored: NotPush",
	}
	dir := os.DirFS(recordings)
	files, err := fs.Glob(dir, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(want) {
		t.Errorf("%d recordings, want %d", len(files), len(want))
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			content, err := fs.ReadFile(dir, file)
			if err != nil {
				t.Fatal(err)
			}
			var request struct {
				Headers map[string][]string
				Body    json.RawMessage
			}
			if err := json.Unmarshal(content, &request); err != nil {
				t.Fatal(err)
			}
			for _, contentType := range []string{request.Headers["Content-Type"][0], webhook.DistributionV1} {
				hints, ignored, err := decode(t, contentType, request.Body)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{want[file]}, lines(hints, ignored)); diff != "" {
					t.Errorf("as %s (-want +got):\n%s", contentType, diff)
				}
			}
		})
	}
}

func event(action, mediaType, path, tag, digest string) string {
	b, err := json.Marshal(map[string]any{"action": action, "target": map[string]string{
		"mediaType": mediaType, "repository": path, "tag": tag, "digest": digest}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// One bad event never takes the others of its envelope down with it.
func TestEventsAreIgnoredOneByOne(t *testing.T) {
	const oci = "application/vnd.oci.image.manifest.v1+json"
	good := "sha256:" + hexA
	body := `{"events":[` + strings.Join([]string{
		event("push", oci, "team/app", "v1", good),
		event("push", oci, "team/app", `"$(reboot)'`, good),
		event("push", oci, "../../etc", "v1", good),
		event("push", oci, "evil.example/x@y", "v1", good),
		event("push", oci, "", "v1", good),
		event("push", oci, "team/app", "v1", "sha256:00"),
		event("push", "", "team/app", "v1", good),
		event("push", "application/vnd.oci.image.layer.v1.tar+gzip", "team/app", "v1", good),
		event("pull", oci, "team/app", "v1", good),
		event("", oci, "team/app", "v1", good),
		`{}`,
		event("push", "application/vnd.tomorrow+json", "team/app", "v2", ""),
		event("push", oci, "team/app", "v3", "sha512:"+hexA+hexA),
		event("push", "", "team/app", "", good),
		event("push", "application/octet-stream", "team/app", "", good),
		event("push", oci, "team/app", "", good),
	}, ",") + `]}`
	hints, ignored, err := decode(t, webhook.DistributionV2+"; charset=utf-8", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"team/app:v1@d8336525 " + oci,
		// A claim that cannot be used is no reason to lose the push.
		"team/app:v1@ " + oci, "team/app:v1@d8336525 ", "team/app:v1@d8336525 application/vnd.oci.image.layer.v1.tar+gzip",
		"team/app:v2@ application/vnd.tomorrow+json", "team/app:v3@ " + oci,
		"1 ignored: InvalidTag", "2 ignored: InvalidPath", "3 ignored: InvalidPath", "4 ignored: InvalidPath",
		"8 ignored: NotPush", "9 ignored: NotPush", "10 ignored: NotPush",
		"13 ignored: NotManifest", "14 ignored: NotManifest", "15 ignored: Untagged",
	}
	if diff := cmp.Diff(want, lines(hints, ignored)); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	r, err := hints[0].Repository("registry.example:5000")
	if err != nil || r.String() != "registry.example:5000/team/app" {
		t.Errorf("repository %q, error %v", r, err)
	}
}

func TestEnvelopesThatCannotBeDecodedAreRefused(t *testing.T) {
	for _, test := range []struct {
		name, contentType, body string
		want                    webhook.DecodeReason
	}{
		{"another content type", "application/json", `{"events":[]}`, webhook.UnsupportedMediaType},
		{"no content type", "", `{"events":[]}`, webhook.UnsupportedMediaType},
		{"a CloudEvent", "application/cloudevents+json", `{"specversion":"1.0"}`, webhook.UnsupportedMediaType},
		{"nothing", webhook.DistributionV2, ``, webhook.Malformed},
		{"a truncated envelope", webhook.DistributionV2, `{"events":[{"action":"pu`, webhook.Malformed},
		{"no events", webhook.DistributionV2, `{}`, webhook.Malformed},
		{"events that are null", webhook.DistributionV2, `{"events":null}`, webhook.Malformed},
		{"events that are no list", webhook.DistributionV2, `{"events":{}}`, webhook.Malformed},
		{"a list", webhook.DistributionV2, `[]`, webhook.Malformed},
		{"two envelopes", webhook.DistributionV2, `{"events":[]}{"events":[]}`, webhook.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			hints, ignored, err := decode(t, test.contentType, []byte(test.body))
			var decodeErr *webhook.DecodeError
			if !errors.As(err, &decodeErr) || decodeErr.Reason != test.want || decodeErr.Unwrap() == nil {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if hints != nil || ignored != nil {
				t.Errorf("there are results beside an error")
			}
		})
	}
	if hints, ignored, err := decode(t, webhook.DistributionV2, []byte(`{"events":[]}`)); err != nil || hints != nil || ignored != nil {
		t.Errorf("an envelope without events: %v", err)
	}
}
