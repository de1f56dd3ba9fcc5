package intake

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// streamsOf selects every ImageStream of a namespace.
func streamsOf(namespace string) *v1alpha1.ImageTrigger {
	t := registryTrigger(namespace, "unused")
	t.Spec.Images = []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}
	return t
}

// shows is the state of a stream whose tag v1 has the digests, newest first, all of one time.
func shows(claimed ...string) *openshift.StreamState {
	s := push.Stream{Repository: push.Repository{Kind: push.ImageStream, Name: "shop/app", UID: "u1"}}
	tag := push.Tag{ClaimedName: "v1"}
	for _, d := range claimed {
		tag.Items = append(tag.Items, push.Item{ClaimedDigest: d, Created: testEpoch})
	}
	s.Tags = []push.Tag{tag}
	return &openshift.StreamState{Namespace: "shop", Name: "app", Stream: s}
}

// changed delivers an event of a stream that the API server shows.
func (f *fixture) changed(state *openshift.StreamState) Result {
	f.stream = state
	return f.intake.stream(f.t.Context(), "10.0.0.1", openshift.Observation{
		Verb: openshift.Update, Object: openshift.Object{Kind: openshift.ImageStream, Namespace: state.Namespace, Name: state.Name}, Stream: &state.Stream,
	})
}

// The event of an ImageStream may come before its Image object, and before its registry
// shows the manifest. What cannot be read is recorded.
func TestAnEventBeforeItsImageIsNotLost(t *testing.T) {
	a := digestOf(t, "aa")
	for _, test := range []struct {
		name    string
		content func(time.Duration, image.Reference) (image.Content, error)
	}{
		{"the registry does not show the manifest either", func(time.Duration, image.Reference) (image.Content, error) { return image.Content{}, errNotThere }},
		{"the registry does not answer", func(time.Duration, image.Reference) (image.Content, error) {
			return image.Content{}, errors.New("connection refused")
		}},
		{"the registry refuses", func(time.Duration, image.Reference) (image.Content, error) {
			return image.Content{}, &source.Refusal{Reason: source.Denied, Err: errors.New("401")}
		}},
		{"the children of an index do not show yet", func(time.Duration, image.Reference) (image.Content, error) {
			return image.Content{Kind: image.ContentIndex, Children: []image.Content{{}}}, nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, streamsOf("shop"))
			f.content = test.content
			if r := f.changed(shows(a.String())); r.Reason != Recorded {
				t.Errorf("result %+v, want Recorded", r)
			}
			if diff := cmp.Diff([]string{"shop v1@aa 0"}, f.ledger()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		})
	}
}

// A mapping of the head's dockerImageReference changes its digest in place: the item keeps
// its time. Both digests are pushes.
func TestAHeadThatChangesInPlaceIsAPush(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	f := newFixture(t, streamsOf("shop"))
	f.image = openshift.ImageState{Runs: true}
	for n, d := range []image.Digest{a, b} {
		if r := f.changed(shows(d.String())); r.Reason != Recorded {
			t.Errorf("event %d: %+v, want Recorded", n+1, r)
		}
	}
	// An event that is delivered again, and one that changes back, are covered.
	for n, d := range []image.Digest{b, a} {
		if r := f.changed(shows(d.String())); r.Reason != NothingNew {
			t.Errorf("event %d: %+v, want NothingNew", n+3, r)
		}
	}
	if diff := cmp.Diff([]string{"shop v1@aa 0", "shop v1@bb 0"}, f.ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A digest of another algorithm is logged and counted once, and takes nothing down with it.
func TestADigestOfAnotherAlgorithmIsReported(t *testing.T) {
	a := digestOf(t, "aa")
	first, second := "sha512:"+strings.Repeat("1", 128), "sha512:"+strings.Repeat("2", 128)
	f := newFixture(t, streamsOf("shop"))
	f.image = openshift.ImageState{Runs: true}
	for _, state := range []*openshift.StreamState{shows(first), shows(first), shows(second, first), shows(second, a.String())} {
		f.changed(state)
	}
	logged := []string{}
	for _, entry := range f.logs.FilterMessage("tag skipped").All() {
		logged = append(logged, entry.ContextMap()["reason"].(string)+" "+entry.ContextMap()["digest"].(string))
	}
	if diff := cmp.Diff([]string{"DigestUnsupported " + first, "DigestUnsupported " + second}, logged); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"shop v1@aa 0"}, f.ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A registry whose tag has such a digest is reported too, and nobody waits for it.
func TestATagOfAnotherAlgorithmIsReported(t *testing.T) {
	f := newFixture(t, registryTrigger("shop", "team/**"))
	f.head = func(time.Duration, string, source.Account) (image.Digest, error) {
		return image.Digest{}, &source.Refusal{Reason: source.DigestUnsupported, Err: errors.New("the tag points to sha512:00")}
	}
	if r := f.notify("team/app", "v1", image.Digest{}); r.Status != Done || r.Reason != NotVisible || f.elapsed != 0 {
		t.Errorf("result %+v after %v, want Done at once", r, f.elapsed)
	}
	if n := f.logs.FilterMessage("registry cannot be read for the trigger").Len(); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

// An event sent again costs no request, also where a namespace's labels do not matter.
func TestNothingNewAsksNobody(t *testing.T) {
	a := digestOf(t, "aa")
	f := newFixture(t, streamsOf("shop"))
	f.image = openshift.ImageState{Runs: true}
	state := shows(a.String())
	f.changed(state)
	f.stream = nil
	r := f.intake.stream(t.Context(), "10.0.0.1", openshift.Observation{
		Verb: openshift.Update, Object: openshift.Object{Kind: openshift.ImageStream, Namespace: "shop", Name: "app"}, Stream: &state.Stream,
	})
	if diff := cmp.Diff(Handled(KindStream, NothingNew), r); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}
