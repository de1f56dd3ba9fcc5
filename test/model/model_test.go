package model_test

import (
	"fmt"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// pushed is a push as the design defines it.
type pushed struct {
	stream, tag, digest string
	at                  int64
}

func (p pushed) String() string {
	return fmt.Sprintf("%s:%s@%s +%ds", p.stream, p.tag, strings.TrimLeft(strings.TrimPrefix(p.digest, "sha256:"), "0"), p.at-noon.Unix())
}

// place is what an entry's tag stands for: all but the time.
type place struct{ trigger, stream, tag, digest string }

// model is the reference. It knows what was ever shown, and what is owed: what
// somebody looked at while a trigger existed that admits it.
type model struct {
	triggers []*v1alpha1.ImageTrigger
	ever     map[pushed]bool
	// owed is the time of the newest push that must be covered.
	owed map[place]int64
}

func newModel() *model { return &model{ever: map[pushed]bool{}, owed: map[place]int64{}} }

// each calls f for each push that a stream shows.
func each(is *imagev1.ImageStream, f func(p pushed, head bool)) {
	for _, t := range is.Status.Tags {
		for i, item := range t.Items {
			f(pushed{string(is.UID), t.Tag, item.Image, item.Created.Unix()}, i == 0)
		}
	}
}

// shown takes a state that the API server had.
func (m *model) shown(is *imagev1.ImageStream) {
	each(is, func(p pushed, _ bool) { m.ever[p] = true })
}

// admits is the reference for selectors, time and what can run. Labels are the
// stream's; nil is a stream of which only the past is known.
func admits(t *v1alpha1.ImageTrigger, labels map[string]string, p pushed, head bool) bool {
	switch {
	case labels != nil && t.Spec.Images[0].ImageStreams.Selector != nil && labels[edited] != "0":
		return false
	case p.tag == hostile, p.digest == "", p.digest == digestOf(artefact):
		return false
	case p.tag == excluded && len(t.Spec.Images[0].Tags.Exclude) > 0:
		return false
	case head && t.Spec.Existing == v1alpha1.ExistingVerify:
		return true
	default:
		return p.at >= t.CreationTimestamp.Unix()-120
	}
}

// looked takes a state that a receiver or a sweep read: all of it is owed.
func (m *model) looked(t *v1alpha1.ImageTrigger, is *imagev1.ImageStream) {
	each(is, func(p pushed, head bool) {
		if admits(t, is.Labels, p, head) {
			at := place{string(t.UID), p.stream, p.tag, p.digest}
			m.owed[at] = max(m.owed[at], p.at)
		}
	})
}

// recorded is the ledger: the newest push of each place.
func recorded(s *storage) map[place]int64 {
	all := map[place]int64{}
	for _, e := range s.entries {
		for _, tag := range tagNames {
			if t, ok := e.TagOf(tag); ok {
				all[place{e.Spec.Trigger.UID, e.Spec.Repository.UID, tag, e.Spec.Digest}] = t.PushedAt.Unix()
			}
		}
	}
	return all
}

// forgotten reports whether the ledger says of a push that it does not know. Only of tags of
// which an entry does not tell it may.
func forgotten(s *storage, at place, when int64) bool {
	for _, e := range s.entries {
		if e.Spec.Trigger.UID != at.trigger || e.Spec.Repository.UID != at.stream || e.Spec.Digest != at.digest {
			continue
		}
		_, told := e.TagOf(at.tag)
		through, forgot := e.Status.MoreTags.ForgetsThrough()
		return forgot && !told && when <= through
	}
	return false
}

// tells reports what an entry may not tell: of tags without a name that never was one, of too
// many, or of a push that waits while none of those it names does.
func tells(e *v1alpha1.ImageVerification, b ledger.Bounds) string {
	known := 0
	for _, tag := range tagNames {
		if _, ok := e.TagOf(tag); ok {
			known++
		}
	}
	if all := len(e.Tags()) + len(e.Status.MoreTags.Unpack()); known != all {
		return fmt.Sprintf("invented: the entry %s tells of %d tags, of which %d exist", e.Name, all, known)
	}
	if e.Status.MoreTags.Open() && lifecycle.Undecided(e) == nil {
		return fmt.Sprintf("lost: no run is started for a push of the entry %s", e.Name)
	}
	if b != usual && (len(e.Status.Tags) > b.Tags || len(e.Status.MoreTags.Unpack()) > b.More) {
		return fmt.Sprintf("grown: the entry %s names %d tags", e.Name, len(e.Status.Tags))
	}
	return ""
}

// showsNew reports whether a stream shows what the ledger does not cover.
func (m *model) showsNew(is *imagev1.ImageStream, have map[place]int64) (news, artefacts bool) {
	each(is, func(p pushed, head bool) {
		artefacts = artefacts || p.digest == digestOf(artefact)
		for _, t := range m.triggers {
			at, ok := have[place{string(t.UID), p.stream, p.tag, p.digest}]
			news = news || (admits(t, is.Labels, p, head) && (!ok || at < p.at))
		}
	})
	return news, artefacts
}

// check holds a ledger to the model. It returns what is wrong, or "".
func (m *model) check(s *storage) string {
	have := recorded(s)
	for at, when := range m.owed {
		got, ok := have[at]
		switch {
		case forgotten(s, at, when):
		case !ok:
			return fmt.Sprintf("lost: %v of %s has no entry", pushed{at.stream, at.tag, at.digest, when}, at.trigger)
		case got < when:
			return fmt.Sprintf("lost: %v of %s is covered by an older push only", pushed{at.stream, at.tag, at.digest, when}, at.trigger)
		}
	}
	type identity struct{ trigger, stream, digest string }
	entries := map[identity]string{}
	for name, e := range s.entries {
		id := identity{e.Spec.Trigger.UID, e.Spec.Repository.UID, e.Spec.Digest}
		if other, ok := entries[id]; ok {
			return fmt.Sprintf("doubled: the entries %s and %s are both of %v", name, other, id)
		}
		entries[id] = name
		if wrong := tells(e, s.bounds); wrong != "" {
			return wrong
		}
		first := e.Spec.FirstPush
		if wrong := m.invented(pushed{id.stream, first.Tag, id.digest, first.PushedAt.Unix()}, id.trigger); wrong != "" {
			return wrong
		}
	}
	for at, when := range have {
		if wrong := m.invented(pushed{at.stream, at.tag, at.digest, when}, at.trigger); wrong != "" {
			return wrong
		}
	}
	return ""
}

// invented reports a record of what never was a push for the trigger.
func (m *model) invented(p pushed, trigger string) string {
	if !m.ever[p] {
		return fmt.Sprintf("invented: %v was recorded for %s and never was shown", p, trigger)
	}
	for _, t := range m.triggers {
		// What was a head once may have been recorded as one.
		if string(t.UID) == trigger && admits(t, nil, p, true) {
			return ""
		}
	}
	return fmt.Sprintf("invented: %v was recorded for %s, which does not admit it", p, trigger)
}

// forget takes back what is owed of an entry that somebody deleted.
func (m *model) forget(e *v1alpha1.ImageVerification) {
	for at := range m.owed {
		if at.trigger == e.Spec.Trigger.UID && at.stream == e.Spec.Repository.UID && at.digest == e.Spec.Digest {
			delete(m.owed, at)
		}
	}
}
