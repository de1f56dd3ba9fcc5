package openshift_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// benchEvent is an event about a stream of 20 tags with 3 items each, with
// managed fields as the API server sends them.
func benchEvent(b *testing.B) *cloudevents.Event {
	b.Helper()
	var tags, fields []string
	for i := range 20 {
		var items []string
		for j := range 3 {
			digest := fmt.Sprintf("sha256:%064x", i*3+j)
			items = append(items, fmt.Sprintf(`{"created":"2026-11-21T01:25:59Z","dockerImageReference":"registry:5000/demo/app@%s","image":%q,"generation":1}`, digest, digest))
		}
		tags = append(tags, fmt.Sprintf(`{"tag":"v%d","items":[%s]}`, i, strings.Join(items, ",")))
		fields = append(fields, fmt.Sprintf(`"k:{\"tag\":\"v%d\"}":{".":{},"f:items":{},"f:tag":{}}`, i))
	}
	return newEvent("ImageStream", "dev.knative.apiserver.resource.update", fmt.Sprintf(
		`{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"app","namespace":"demo","uid":"u1","managedFields":[{"fieldsV1":{"f:status":{"f:tags":{%s}}}}]},
		"status":{"dockerImageRepository":"registry:5000/demo/app","tags":[%s]}}`, strings.Join(fields, ","), strings.Join(tags, ",")))
}

// What an event that changes nothing costs here: decode, convert, detect.
func BenchmarkEventThatChangesNothing(b *testing.B) {
	e := benchEvent(b)
	var memory push.Memory
	o, err := openshift.Decode(e)
	if err != nil {
		b.Fatal(err)
	}
	memory.Remember(*o.Stream)
	b.SetBytes(int64(len(e.Data())))
	for b.Loop() {
		o, err := openshift.Decode(e)
		if err != nil {
			b.Fatal(err)
		}
		if r := push.Detect(*o.Stream, &memory, everything{}); len(r.Pushes) > 0 {
			b.Fatal("there is a push")
		}
	}
}

// The same with OpenShift's whole type, for comparison.
func BenchmarkWholeType(b *testing.B) {
	e := benchEvent(b)
	b.SetBytes(int64(len(e.Data())))
	for b.Loop() {
		var is imagev1.ImageStream
		if err := json.Unmarshal(e.Data(), &is); err != nil {
			b.Fatal(err)
		}
		openshift.Stream(&is)
	}
}

func BenchmarkEventOfAnotherKind(b *testing.B) {
	e := newEvent("Pod", "dev.knative.apiserver.resource.update", streamBody)
	for b.Loop() {
		if o, err := openshift.Decode(e); err != nil || o.Ignored != openshift.UnknownKind {
			b.Fatalf("%+v %v", o, err)
		}
	}
}
