package openshift_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// Where an item is pulled from: the stream's own repository, unless the item
// stands elsewhere and the tag does not say that the stream's registry serves it.
func TestWhereAnItemIsPulledFrom(t *testing.T) {
	digest := "sha256:" + hexA
	for _, test := range []struct {
		name, own, reference string
		policy               imagev1.TagReferencePolicyType
		wantStream, wantItem string
	}{
		{"pushed here", "r:5000/demo/app", "r:5000/demo/app@" + digest, "", "r:5000/demo/app", ""},
		{"imported", "r:5000/demo/app", "quay.example/x/y@" + digest, imagev1.SourceTagReferencePolicy, "r:5000/demo/app", "quay.example/x/y"},
		{"imported, served by the stream's registry", "r:5000/demo/app", "quay.example/x/y@" + digest, imagev1.LocalTagReferencePolicy, "r:5000/demo/app", ""},
		{"an alias of another stream", "r:5000/demo2/prod", "r:5000/demo/app@" + digest, "", "r:5000/demo2/prod", "r:5000/demo/app"},
		{"a repository whose name begins like the stream's", "r:5000/demo/app", "r:5000/demo/app2@" + digest, "", "r:5000/demo/app", "r:5000/demo/app2"},
		{"a reference to another digest", "r:5000/demo/app", "quay.example/x/y@sha256:" + strings.Repeat("0", 64), "", "r:5000/demo/app", ""},
		{"a reference by tag", "r:5000/demo/app", "quay.example/x/y:v1", "", "r:5000/demo/app", ""},
		{"a reference without a host", "r:5000/demo/app", "busybox@" + digest, "", "r:5000/demo/app", ""},
		{"a stream without a repository", "", "quay.example/x/y@" + digest, "", "", "quay.example/x/y"},
	} {
		t.Run(test.name, func(t *testing.T) {
			is := &imagev1.ImageStream{}
			is.Spec.Tags = []imagev1.TagReference{{Name: "v1", ReferencePolicy: imagev1.TagReferencePolicy{Type: test.policy}}}
			is.Status.DockerImageRepository = test.own
			is.Status.Tags = []imagev1.NamedTagEventList{{Tag: "v1", Items: []imagev1.TagEvent{{Image: digest, DockerImageReference: test.reference}}}}
			s := openshift.Stream(is)
			if diff := cmp.Diff(test.wantStream, s.Pull.String()); diff != "" {
				t.Errorf("the stream's (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantItem, s.Tags[0].Items[0].Pull.String()); diff != "" {
				t.Errorf("the item's (-want +got):\n%s", diff)
			}
		})
	}
}

// The tags of a stream are served by its service and by its route, wherever an item is from.
func TestAStreamIsKnownUnderItsServiceAndItsRoute(t *testing.T) {
	for _, test := range []struct {
		name, own, public string
		want              []string
	}{
		{"both", "r:5000/demo/app", "apps.example/demo/app", []string{"r:5000/demo/app", "apps.example/demo/app"}},
		{"no route", "r:5000/demo/app", "", []string{"r:5000/demo/app"}},
		{"no registry", "", "", nil},
		{"a route that is no repository", "r:5000/demo/app", "apps.example", []string{"r:5000/demo/app"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			is := &imagev1.ImageStream{}
			is.Status.DockerImageRepository, is.Status.PublicDockerImageRepository = test.own, test.public
			digest := "sha256:" + hexA
			is.Status.Tags = []imagev1.NamedTagEventList{{Tag: "v1", Items: []imagev1.TagEvent{
				{Created: metav1.NewTime(time.Unix(1, 0)), Image: digest, DockerImageReference: "quay.example/x/y@" + digest}}}}
			pushes := push.Detect(openshift.Stream(is).Only(func(string) bool { return true }), &push.Memory{}, everything{}).Pushes
			if len(pushes) != 1 {
				t.Fatalf("there are %d pushes, want 1", len(pushes))
			}
			var got []string
			for _, r := range pushes[0].Names {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

// A time that cannot be read is one item's trouble, not the stream's.
func TestATimeThatCannotBeReadIsSkippedAlone(t *testing.T) {
	body := fmt.Sprintf(`{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"app","namespace":"demo","uid":"u1"},
		"status":{"tags":[{"tag":"bad","items":[{"created":"yesterday","image":"sha256:%[1]s"}]},
		{"tag":"none","items":[{"created":null,"image":"sha256:%[1]s"}]},
		{"tag":"good","items":[{"created":"2026-11-21T01:25:59Z","image":"sha256:%[1]s"}]}]}}`, hexA)
	o, err := openshift.DecodeObject(openshift.Add, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := push.Detect(*o.Stream, &push.Memory{}, everything{})
	if len(r.Pushes) != 1 || r.Pushes[0].Tag != "good" || len(r.Skips) != 2 {
		t.Errorf("got pushes %v and skips %v, want good alone", r.Pushes, r.Skips)
	}
	for _, s := range r.Skips {
		if s.Reason != push.InvalidTime {
			t.Errorf("tag %q was skipped for %q", s.Tag, s.Reason)
		}
	}
}

func TestStreamKeepsTimesToTheSecondInUTC(t *testing.T) {
	is := &imagev1.ImageStream{}
	local := time.Date(2026, 11, 21, 3, 0, 0, 0, time.FixedZone("", 7200))
	is.Status.Tags = []imagev1.NamedTagEventList{{Tag: "v1", Items: []imagev1.TagEvent{{Created: metav1.NewTime(local)}, {}}}}
	items := openshift.Stream(is).Tags[0].Items
	if got := items[0].Created; !got.Equal(local) || got.Location() != time.UTC {
		t.Errorf("time is %v", got)
	}
	if !items[1].Created.IsZero() {
		t.Errorf("no time became %v", items[1].Created)
	}
}
