package openshift_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// Property: a sweep's list, an event and a read of a stream show the same pushes.
func TestListAndObjectConvertAlike(t *testing.T) {
	eachRecorded(t, "ImageStream", func(t *testing.T, body []byte) {
		var is imagev1.ImageStream
		if err := json.Unmarshal(body, &is); err != nil {
			t.Fatal(err)
		}
		want := openshift.StreamState{Namespace: is.Namespace, Name: is.Name, Labels: is.Labels, Stream: openshift.Stream(&is)}
		var got []openshift.StreamState
		page := fmt.Sprintf(`{"items":[%[1]s,%[1]s],"metadata":{"remainingItemCount":7,"continue":"next"}}`, body)
		next, err := openshift.DecodeList([]byte(page), func(s *openshift.StreamState) { got = append(got, *s) })
		if err != nil || next != "next" {
			t.Fatalf("continues with %q, %v", next, err)
		}
		if diff := cmp.Diff([]openshift.StreamState{want, want}, got, exported); diff != "" {
			t.Errorf("streams (-object +list):\n%s", diff)
		}
	})
}

func TestListsThatCannotBeRead(t *testing.T) {
	for _, test := range []struct {
		name, page string
		want       int
		fails      bool
	}{
		{"an empty list", `{"metadata":{},"items":[]}`, 0, false},
		{"null for none", `{"metadata":null,"items":null}`, 0, false},
		{"a page that breaks off after a stream", `{"items":[{"metadata":{"name":"a"}},{"metadata":{"na`, 1, true},
		{"a stream that is none", `{"items":[{"metadata":{"name":"a"}},7]}`, 1, true},
		{"more than a list", `{"items":[]}{}`, 0, true},
		{"no JSON", `404 page not found`, 0, true},
		{"nothing", ``, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			read := 0
			if _, err := openshift.DecodeList([]byte(test.page), func(*openshift.StreamState) { read++ }); (err != nil) != test.fails || read != test.want {
				t.Errorf("%d streams, want %d; error %v", read, test.want, err)
			}
		})
	}
}

// Whatever a server sends is read or refused, and what is read can be looked into.
func FuzzDecodeList(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(`{"metadata":{"continue":"x"},"items":[%s]}`, streamBody)))
	f.Add([]byte(`{"items":[{"metadata":null,"status":{"tags":[{"tag":"v1","items":[{}]}]}}]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, page []byte) {
		next, err := openshift.DecodeList(page, func(s *openshift.StreamState) {
			push.Detect(s.Stream, &push.Memory{}, everything{})
		})
		if err != nil && next != "" {
			t.Errorf("a list that cannot be read continues with %q", next)
		}
	})
}

// Property: what was read of a page stays when the page's memory is used for the next one.
func TestStreamsOutliveTheirPage(t *testing.T) {
	const text = `{"metadata":{"continue":"m\u006fre"},"items":[{"metadata":{"name":"app","namespace":"demo","uid":"u","labels":{"te\u0061m":"a","b":"c"}},` +
		`"status":{"dockerImageRepository":"registry.example.com/demo/app","tags":[{"tag":"v1","items":[{"created":"2026-01-02T03:04:05Z",` +
		`"dockerImageReference":"registry.example.com/demo/app@sha256:abababababababababababababababababababababababababababababababab",` +
		`"image":"sha256:abababababababababababababababababababababababababababababababab"}]}]}}]}`
	read := func(page []byte) (streams []*openshift.StreamState, next string) {
		next, err := openshift.DecodeList(page, func(s *openshift.StreamState) { streams = append(streams, s) })
		if err != nil {
			t.Fatal(err)
		}
		return streams, next
	}
	want, wantNext := read([]byte(text))
	page := []byte(text)
	got, gotNext := read(page)
	clear(page)
	if diff := cmp.Diff(want, got, exported); diff != "" || gotNext != wantNext {
		t.Errorf("next %q, want %q; streams (-want +got):\n%s", gotNext, wantNext, diff)
	}
}
