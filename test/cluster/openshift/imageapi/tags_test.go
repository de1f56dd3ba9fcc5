package imageapi

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func item(image string, generation int64) imagev1.TagEvent {
	return imagev1.TagEvent{Image: image, DockerImageReference: "registry/ns/app@" + image, Generation: generation}
}

// first is a time in seconds.
const first = 1_700_000_000

func at(seconds int64, reference, image string) imagev1.TagEvent {
	return imagev1.TagEvent{Created: metav1.NewTime(time.Unix(seconds, 0)), DockerImageReference: reference, Image: image}
}

func tag(name string, items ...imagev1.TagEvent) imagev1.NamedTagEventList {
	return imagev1.NamedTagEventList{Tag: name, Items: items}
}

func follows(name, source string) imagev1.TagReference {
	return imagev1.TagReference{Name: name, From: &corev1.ObjectReference{Kind: "ImageStreamTag", Name: source}}
}

func TestAddTagEvent(t *testing.T) {
	moved := item("a", 1)
	moved.DockerImageReference = "elsewhere/a"
	for name, row := range map[string]struct {
		before []imagev1.NamedTagEventList
		tag    string
		item   imagev1.TagEvent
		want   []imagev1.NamedTagEventList
		same   bool
	}{
		"a new tag goes where the alphabet has it": {
			before: []imagev1.NamedTagEventList{tag("a", item("a", 1)), tag("c", item("c", 1))},
			tag:    "b", item: item("b", 1),
			want: []imagev1.NamedTagEventList{tag("a", item("a", 1)), tag("b", item("b", 1)), tag("c", item("c", 1))},
		},
		"another image comes before the history": {
			before: []imagev1.NamedTagEventList{tag("a", item("a", 1))}, tag: "a", item: item("b", 1),
			want: []imagev1.NamedTagEventList{tag("a", item("b", 1), item("a", 1))},
		},
		"an older image is a new head": {
			before: []imagev1.NamedTagEventList{tag("a", item("b", 1), item("a", 1))}, tag: "a", item: item("a", 1),
			want: []imagev1.NamedTagEventList{tag("a", item("a", 1), item("b", 1), item("a", 1))},
		},
		"the same image changes nothing": {
			before: []imagev1.NamedTagEventList{tag("a", item("a", 1))}, tag: "a", item: item("a", 1),
			want: []imagev1.NamedTagEventList{tag("a", item("a", 1))}, same: true,
		},
		"the same image under a newer spec raises the generation": {
			before: []imagev1.NamedTagEventList{tag("a", item("a", 1))}, tag: "a", item: item("a", 2),
			want: []imagev1.NamedTagEventList{tag("a", item("a", 2))},
		},
		"the same image from elsewhere changes the reference": {
			before: []imagev1.NamedTagEventList{tag("a", item("a", 1))}, tag: "a", item: moved,
			want: []imagev1.NamedTagEventList{tag("a", moved)},
		},
		"another image under the head's reference changes the head in place, and keeps its time": {
			before: []imagev1.NamedTagEventList{tag("a", at(first, "registry/app:v1", "a"))}, tag: "a", item: at(first+60, "registry/app:v1", "b"),
			want: []imagev1.NamedTagEventList{tag("a", at(first, "registry/app:v1", "b"))},
		},
		"another image where neither has a reference is a new head": {
			before: []imagev1.NamedTagEventList{tag("a", at(first, "", "a"))}, tag: "a", item: at(first+60, "", "b"),
			want: []imagev1.NamedTagEventList{tag("a", at(first+60, "", "b"), at(first, "", "a"))},
		},
		"a tag whose import failed gets its first item and loses the condition": {
			before: []imagev1.NamedTagEventList{{Tag: "a", Conditions: []imagev1.TagEventCondition{{Reason: "InternalError"}}}},
			tag:    "a", item: item("a", 1),
			want: []imagev1.NamedTagEventList{tag("a", item("a", 1))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stream := &imagev1.ImageStream{Status: imagev1.ImageStreamStatus{Tags: row.before}}
			if changed := AddTagEvent(stream, row.tag, row.item); changed == row.same {
				t.Errorf("changed is %v", changed)
			}
			if diff := cmp.Diff(row.want, stream.Status.Tags); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMoveFollowersMovesThoseOfTheSameStreamOnly(t *testing.T) {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	stream.Spec.Tags = []imagev1.TagReference{
		follows("short", "latest"), follows("qualified", "app:latest"), follows("other", "other:latest"), follows("indirect", "short"),
		follows("latest", "latest"), {Name: "pinned", From: &corev1.ObjectReference{Kind: "ImageStreamImage", Name: "app@x"}}, {Name: "bare"},
	}
	if !MoveFollowers(stream, "latest", item("a", 1)) {
		t.Error("nothing changed")
	}
	want := []imagev1.NamedTagEventList{tag("qualified", item("a", 1)), tag("short", item("a", 1))}
	if diff := cmp.Diff(want, stream.Status.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestRemoveTagTakesItOutOfSpecAndStatus(t *testing.T) {
	stream := &imagev1.ImageStream{}
	stream.Spec.Tags = []imagev1.TagReference{follows("a", "b"), follows("c", "b")}
	stream.Status.Tags = []imagev1.NamedTagEventList{tag("a", item("x", 1)), tag("b", item("x", 1))}
	if !RemoveTag(stream, "a") || RemoveTag(stream, "absent") {
		t.Error("what is there is removed, and what is not there is not")
	}
	if len(stream.Spec.Tags) != 1 || len(stream.Status.Tags) != 1 {
		t.Errorf("left are %v and %v", stream.Spec.Tags, stream.Status.Tags)
	}
}

func TestResolveLeavesAloneWhatHasNoSource(t *testing.T) {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", Generation: 3}}
	stream.Spec.Tags = []imagev1.TagReference{
		follows("missing", "nosuch"), follows("elsewhere", "nosuch:latest"), follows("self", "self"), {Name: "bare"},
		{Name: "import", From: &corev1.ObjectReference{Kind: "DockerImage", Name: "example.test/x"}},
		{Name: "broken", From: &corev1.ObjectReference{Kind: "ImageStreamImage", Name: "no-digest"}},
	}
	r := resolver{now: metav1.NewTime(time.Unix(0, 0)), other: func(string, string) *imagev1.ImageStream { return nil }}
	r.resolve(stream, nil)
	if len(stream.Status.Tags) > 0 {
		t.Errorf("tags are %v, want none", stream.Status.Tags)
	}
	for _, s := range stream.Spec.Tags {
		if s.Generation == nil || *s.Generation != 3 {
			t.Errorf("the generation of spec tag %q is %v, want 3", s.Name, s.Generation)
		}
	}
}

// Property: an ImageStreamImage names an image of the stream's history, by its digest or the
// beginning of it.
func TestImagesAreFoundInTheHistory(t *testing.T) {
	stream := &imagev1.ImageStream{}
	stream.Status.Tags = []imagev1.NamedTagEventList{
		tag("v1", item("sha256:abc1", 1), item("sha256:abd2", 1)), tag("v2", item("sha256:abc1", 1)),
	}
	for id, want := range map[string]string{
		"sha256:abc1": "sha256:abc1", "sha256:abd": "sha256:abd2", "abc": "sha256:abc1", "ab": "", "sha256:ffff": "",
	} {
		got := ""
		found, err := findImage(stream, id)
		if err == nil {
			got = found.Image
		}
		if got != want {
			t.Errorf("%q is %q (%v), want %q", id, got, err, want)
		}
	}
}
