package openshift_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

var exported = cmp.AllowUnexported(image.Digest{}, image.Repository{})

const (
	recordings = "../../../test/events/imagestreams"
	hexA       = "cb61bde6eb638a6d78d99d05c1c7d0a5939d3d297dcd6998a495cf5d191bad24"
	streamBody = `{"kind":"ImageStream","apiVersion":"image.openshift.io/v1",
		"metadata":{"name":"app","namespace":"demo","uid":"u1","labels":{"team":"a"},"managedFields":[{"manager":"x"}]},
		"status":{"dockerImageRepository":"registry:5000/demo/app","publicDockerImageRepository":"apps.example/demo/app","tags":[{"tag":"latest","items":[
		{"created":"2026-11-21T01:25:59Z","image":"sha256:` + hexA + `","dockerImageReference":"registry:5000/demo/app@sha256:` + hexA + `","generation":1}]}]}}`
	imageBody     = `{"kind":"Image","apiVersion":"image.openshift.io/v1","metadata":{"name":"sha256:` + hexA + `"}}`
	referenceBody = `{"kind":"ImageStream","namespace":"demo","name":"app","apiVersion":"image.openshift.io/v1"}`
	subject       = "/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app"
)

// newEvent makes an event as the adapter does.
func newEvent(kind, eventType, body string) *cloudevents.Event {
	e := cloudevents.New()
	e.SetID("1")
	e.SetSource("https://api.example")
	e.SetType(eventType)
	e.SetExtension("apiversion", "image.openshift.io/v1")
	e.SetExtension("kind", kind)
	if kind == "ImageStream" {
		e.SetExtension("namespace", "demo")
		e.SetExtension("name", "app")
		e.SetSubject(subject)
	}
	if err := e.SetData("application/json", []byte(body)); err != nil {
		panic(err)
	}
	return &e
}

func TestDecode(t *testing.T) {
	const add, ref = "dev.knative.apiserver.resource.add", "dev.knative.apiserver.ref."
	app := openshift.Object{Kind: openshift.ImageStream, Namespace: "demo", Name: "app"}
	digest, err := image.ParseDigest("sha256:" + hexA)
	if err != nil {
		t.Fatal(err)
	}
	pull, err := image.ParseRepository("registry:5000/demo/app")
	if err != nil {
		t.Fatal(err)
	}
	public, err := image.ParseRepository("apps.example/demo/app")
	if err != nil {
		t.Fatal(err)
	}
	stream := &push.Stream{
		Repository: push.Repository{Kind: push.ImageStream, Name: "demo/app", UID: "u1"},
		Pull:       pull,
		Names:      []image.Repository{pull, public},
		Tags: []push.Tag{{ClaimedName: "latest", Items: []push.Item{
			{ClaimedDigest: digest.String(), Created: time.Date(2026, 11, 21, 1, 25, 59, 0, time.UTC)},
		}}},
	}
	whole := openshift.Observation{Verb: openshift.Add, Mode: openshift.Resource, Object: app, Labels: map[string]string{"team": "a"}, Stream: stream}
	for _, test := range []struct {
		name   string
		event  *cloudevents.Event
		change func(*cloudevents.Event)
		want   openshift.Observation
		reason openshift.DecodeReason
	}{
		{name: "a whole ImageStream", event: newEvent("ImageStream", add, streamBody), want: whole},
		{name: "without extensions, by its subject", event: newEvent("ImageStream", add, streamBody), want: whole,
			change: func(e *cloudevents.Event) {
				for _, x := range []string{"apiversion", "kind", "name", "namespace"} {
					e.SetExtension(x, nil)
				}
			}},
		{name: "without subject", event: newEvent("ImageStream", add, streamBody), want: whole,
			change: func(e *cloudevents.Event) { e.SetSubject("") }},
		{name: "with a subject of another form", event: newEvent("ImageStream", add, streamBody), want: whole,
			change: func(e *cloudevents.Event) { e.SetSubject("app") }},
		{name: "a reference, updated", event: newEvent("ImageStream", ref+"update", referenceBody),
			want: openshift.Observation{Verb: openshift.Update, Mode: openshift.Reference, Object: app}},
		{name: "a reference, deleted", event: newEvent("ImageStream", ref+"delete", referenceBody),
			want: openshift.Observation{Verb: openshift.Delete, Mode: openshift.Reference, Object: app}},
		{name: "an Image", event: newEvent("Image", "dev.knative.apiserver.resource.update", imageBody),
			want: openshift.Observation{Verb: openshift.Update, Mode: openshift.Resource, Object: openshift.Object{Kind: openshift.Image, Name: "sha256:" + hexA}}},

		{name: "another type", event: newEvent("ImageStream", "dev.tekton.event.pipelinerun.started.v1", streamBody), want: openshift.Observation{Ignored: openshift.UnknownType}},
		{name: "a type with another verb", event: newEvent("ImageStream", "dev.knative.apiserver.resource.patch", streamBody), want: openshift.Observation{Ignored: openshift.UnknownType}},
		{name: "another kind", event: newEvent("Pod", add, "not even JSON"), want: openshift.Observation{Ignored: openshift.UnknownKind}},
		{name: "another version", event: newEvent("ImageStream", add, streamBody), want: openshift.Observation{Ignored: openshift.UnknownKind},
			change: func(e *cloudevents.Event) { e.SetExtension("apiversion", "image.openshift.io/v2"); e.SetSubject("") }},
		{name: "another kind, told by the body only", event: newEvent("", add, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}`),
			change: func(e *cloudevents.Event) { e.SetExtension("kind", nil); e.SetExtension("apiversion", nil) },
			want:   openshift.Observation{Ignored: openshift.UnknownKind}},

		{name: "no data", event: newEvent("ImageStream", add, ""), reason: openshift.Malformed},
		{name: "a truncated body", event: newEvent("ImageStream", add, streamBody[:200]), reason: openshift.Malformed},
		{name: "a body that is no object", event: newEvent("ImageStream", add, `[1]`), reason: openshift.Malformed},
		{name: "null", event: newEvent("ImageStream", add, `null`), reason: openshift.Contradicts},
		{name: "tags that are no list", event: newEvent("ImageStream", add, strings.Replace(streamBody, `"tags":[`, `"tags":{"x":[`, 1)), reason: openshift.Malformed},
		{name: "a truncated reference", event: newEvent("ImageStream", ref+"add", referenceBody[:30]), reason: openshift.Malformed},
		{name: "no UID", event: newEvent("ImageStream", add, strings.Replace(streamBody, `"uid":"u1",`, "", 1)), reason: openshift.Incomplete},
		{name: "no namespace", event: newEvent("", add, strings.Replace(streamBody, `"namespace":"demo",`, "", 1)), reason: openshift.Incomplete,
			change: func(e *cloudevents.Event) { e.SetExtension("kind", nil) }},
		{name: "no kind anywhere", event: newEvent("", ref+"add", `{"name":"x"}`), reason: openshift.Incomplete,
			change: func(e *cloudevents.Event) { e.SetExtension("kind", nil); e.SetExtension("apiversion", nil) }},
		{name: "a name that the body contradicts", event: newEvent("ImageStream", add, strings.Replace(streamBody, `"name":"app"`, `"name":"evil"`, 1)), reason: openshift.Contradicts},
		{name: "a namespace that the body contradicts", event: newEvent("ImageStream", add, strings.Replace(streamBody, `"demo"`, `"prod"`, 1)), reason: openshift.Contradicts},
		{name: "a kind that the body contradicts", event: newEvent("Image", add, streamBody), reason: openshift.Contradicts},
		{name: "a subject that the extensions contradict", event: newEvent("ImageStream", add, streamBody), reason: openshift.Contradicts,
			change: func(e *cloudevents.Event) { e.SetSubject(strings.Replace(subject, "demo", "prod", 1)) }},
		{name: "a subject that names nothing", event: newEvent("ImageStream", add, streamBody), reason: openshift.Malformed,
			change: func(e *cloudevents.Event) { e.SetSubject("/apis/image.openshift.io/v1/namespaces/demo/imagestreams/") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.change != nil {
				test.change(test.event)
			}
			got, err := openshift.Decode(test.event)
			var decodeErr *openshift.DecodeError
			if errors.As(err, &decodeErr) != (test.reason != "") || (decodeErr != nil && decodeErr.Reason != test.reason) {
				t.Fatalf("error %v, want reason %q", err, test.reason)
			}
			if diff := cmp.Diff(test.want, got, exported); diff != "" {
				t.Errorf("observation (-want +got):\n%s", diff)
			}
		})
	}
}

// What a hostile object holds is bounded in the error about it.
func TestDecodeErrorsAreBounded(t *testing.T) {
	e := newEvent("ImageStream", "dev.knative.apiserver.resource.add", strings.Replace(streamBody, `"app"`, `"`+strings.Repeat("x", 1<<20)+`"`, 1))
	if _, err := openshift.Decode(e); err == nil || len(err.Error()) > 500 {
		t.Error("the error is missing, or longer than 500 bytes")
	}
}

// A structured event, as a Broker may deliver, and a binary one give the same.
func TestStructuredEventsDecodeAlike(t *testing.T) {
	binary := newEvent("ImageStream", "dev.knative.apiserver.resource.update", streamBody)
	wire, err := json.Marshal(binary)
	if err != nil {
		t.Fatal(err)
	}
	var structured cloudevents.Event
	if err := json.Unmarshal(wire, &structured); err != nil {
		t.Fatal(err)
	}
	want, err := openshift.Decode(binary)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openshift.Decode(&structured)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, exported); diff != "" || got.Stream == nil {
		t.Errorf("observation (-binary +structured):\n%s", diff)
	}
}

// recorded is a recorded step.
type recorded struct {
	Step   string
	Events []struct {
		Type   string
		Object json.RawMessage
	}
}

// eachRecorded calls f with every recorded object of a kind.
func eachRecorded(t *testing.T, kind string, f func(t *testing.T, body []byte)) {
	t.Helper()
	dir := os.DirFS(recordings)
	files, err := fs.Glob(dir, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		content, err := fs.ReadFile(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		var step recorded
		if err := json.Unmarshal(content, &step); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for i, e := range step.Events {
			var o struct{ Kind string }
			if err := json.Unmarshal(e.Object, &o); err != nil {
				t.Fatal(err)
			}
			if e.Type == "BOOKMARK" || o.Kind != kind {
				continue
			}
			n++
			t.Run(fmt.Sprintf("%s/%d", step.Step, i), func(t *testing.T) { f(t, e.Object) })
		}
	}
	if n < 20 {
		t.Fatalf("only %d recorded objects of kind %s", n, kind)
	}
}

// The event's slim decoding and the conversion of the object that is read again
// must see the same stream.
func TestEventAndObjectConvertAlike(t *testing.T) {
	eachRecorded(t, "ImageStream", func(t *testing.T, body []byte) {
		o, err := openshift.DecodeObject(openshift.Update, body)
		if err != nil {
			t.Fatal(err)
		}
		var is imagev1.ImageStream
		if err := json.Unmarshal(body, &is); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(openshift.Stream(&is), *o.Stream, exported); diff != "" {
			t.Errorf("stream (-object +event):\n%s", diff)
		}
		if diff := cmp.Diff(is.Labels, o.Labels); diff != "" {
			t.Errorf("labels (-object +event):\n%s", diff)
		}
	})
}
