package openshift_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// addRecorded adds the recorded objects of a kind as seeds, at most one a step.
func addRecorded(f *testing.F, kind string, add func(body []byte)) {
	f.Helper()
	dir := os.DirFS(recordings)
	files, err := fs.Glob(dir, "*.json")
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	for _, file := range files {
		content, err := fs.ReadFile(dir, file)
		if err != nil {
			f.Fatal(err)
		}
		var step recorded
		if err := json.Unmarshal(content, &step); err != nil {
			f.Fatal(err)
		}
		for _, e := range step.Events {
			var o struct{ Kind string }
			if err := json.Unmarshal(e.Object, &o); err == nil && o.Kind == kind && e.Type != "BOOKMARK" {
				add(e.Object)
				n++
				break
			}
		}
	}
	if n < 10 {
		f.Fatalf("only %d recorded objects of kind %s", n, kind)
	}
}

// The slim decoding of an event and the conversion of the object that is read
// again see the same stream, whatever an API server may send; and no tag takes
// another down with it.
func FuzzFastAndFullDecodingAgree(f *testing.F) {
	addRecorded(f, "ImageStream", func(body []byte) { f.Add(body) })
	f.Add([]byte(streamBody))
	good := imagev1.NamedTagEventList{Tag: "good", Items: []imagev1.TagEvent{{Image: "sha256:" + hexA}}}
	if err := good.Items[0].Created.UnmarshalText([]byte("2026-11-21T01:25:59Z")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// What the API server sends is the encoding of an object, and no other text.
		_, _ = openshift.DecodeObject(openshift.Update, body)
		var is imagev1.ImageStream
		if err := json.Unmarshal(body, &is); err != nil {
			return
		}
		is.APIVersion, is.Kind, is.Namespace, is.Name, is.UID = openshift.APIVersion, "ImageStream", "demo", "app", "u1"
		is.Status.Tags = append(is.Status.Tags, good)
		sent, err := json.Marshal(&is)
		if err != nil {
			return // such as a time that has no text
		}
		var read imagev1.ImageStream
		if err := json.Unmarshal(sent, &read); err != nil {
			t.Fatal(err)
		}
		o, err := openshift.DecodeObject(openshift.Update, sent)
		if err != nil {
			t.Fatalf("the encoding of an ImageStream is refused: %v\n%s", err, sent)
		}
		if diff := cmp.Diff(openshift.Stream(&read), *o.Stream, exported); diff != "" {
			t.Errorf("stream (-object +event):\n%s", diff)
		}
		if len(read.Labels)+len(o.Labels) > 0 {
			if diff := cmp.Diff(read.Labels, o.Labels); diff != "" {
				t.Errorf("labels (-object +event):\n%s", diff)
			}
		}
		found := false
		for _, p := range push.Detect(*o.Stream, &push.Memory{}, everything{}).Pushes {
			found = found || p.Tag == "good" && p.Digest.Hex() == hexA
			if !image.ValidTag(p.Tag) || p.Digest.IsZero() || p.PushedAt.IsZero() {
				t.Errorf("an invalid push: %+v", p)
			}
		}
		if !found {
			t.Error("the good tag is not found beside the others")
		}
	})
}

// Whatever arrives is decoded, ignored or refused with a reason; and an event that
// comes structured, as through a Broker, is the same as in binary mode.
func FuzzDecode(f *testing.F) {
	f.Add("dev.knative.apiserver.resource.add", "ImageStream", subject, streamBody)
	f.Add("dev.knative.apiserver.ref.delete", "ImageStream", subject, referenceBody)
	f.Add("dev.knative.apiserver.ref.update", "", "/apis/image.openshift.io/v1/images/x", `{"kind":"Image","name":"x","apiVersion":"image.openshift.io/v1"}`)
	f.Add("dev.knative.apiserver.resource.update", "Image", "", imageBody)
	f.Add("x", "", "/apis/image.openshift.io/v1/", "{")
	f.Fuzz(func(t *testing.T, eventType, kind, subject, body string) {
		binary := newEvent(kind, eventType, body)
		binary.SetSubject(subject)
		want, wantErr := openshift.Decode(binary)
		var decodeErr *openshift.DecodeError
		switch {
		case wantErr != nil && (!errors.As(wantErr, &decodeErr) || decodeErr.Reason == "" || len(wantErr.Error()) > 2048):
			t.Errorf("an error without a reason, or of %d bytes: %v", len(wantErr.Error()), wantErr)
		case wantErr == nil && want.Ignored == "" && (want.Object.Name == "" || want.Verb == "" || want.Mode == ""):
			t.Errorf("an observation of nothing: %+v", want)
		case want.Stream != nil && (want.Stream.Repository.UID == "" || want.Object.Kind != openshift.ImageStream):
			t.Errorf("a stream of nothing: %+v", want)
		}
		wire, err := json.Marshal(binary)
		if err != nil {
			return // its body is no JSON
		}
		var structured cloudevents.Event
		if err := json.Unmarshal(wire, &structured); err != nil {
			return
		}
		if structured.Subject() != subject || structured.Type() != eventType {
			return // text that JSON cannot carry
		}
		got, gotErr := openshift.Decode(&structured)
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("binary gives %v, structured %v", wantErr, gotErr)
		}
		if diff := cmp.Diff(want, got, exported); diff != "" {
			t.Errorf("observation (-binary +structured):\n%s", diff)
		}
	})
}

// An Image object gives facts within their bounds, or an error; and whether it shows an
// image that runs.
func FuzzImage(f *testing.F) {
	addRecorded(f, "Image", func(body []byte) { f.Add(body) })
	f.Add([]byte(`{"dockerImageLayers":[{"size":9223372036854775807},{"size":9223372036854775807}]}`))
	f.Add([]byte(`{"dockerImageMetadata":{"Config":{"Labels":{"org.opencontainers.image.revision":"a\"b"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var img imagev1.Image
		if err := json.Unmarshal(body, &img); err != nil {
			return
		}
		_ = openshift.Runs(&img)
		children := openshift.Children{}
		for _, d := range openshift.ChildDigests(&img) {
			children[d.String()] = &img // one that names itself
		}
		facts, err := openshift.Facts(&img, children, []string{"maintainer"})
		if err != nil {
			return
		}
		if len(facts.Platforms) > 32 || len(facts.Labels) > 1 || len(facts.Base) > 512 || facts.Size < 0 || facts.Layers < 0 {
			t.Errorf("facts beyond their bounds: %+v", facts)
		}
		if facts.ClaimedRevision != "" && (!source.ValidRevision(facts.ClaimedRevision) || facts.RevisionIgnored != "") {
			t.Errorf("revision %q, ignored %q", facts.ClaimedRevision, facts.RevisionIgnored)
		}
		for _, p := range facts.Platforms {
			if len(p) > 128 {
				t.Errorf("a platform of %d bytes", len(p))
			}
		}
	})
}
