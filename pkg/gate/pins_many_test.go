package gate

import (
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// unnamed is a push by an entry that does not name the tag.
func unnamed(p *TagPush) { p.Key, p.Tag = v1alpha1.KeyOfTag(p.Tag), "" }

// forgets is a push by an entry that has forgotten tags until a time.
func forgets(through int64) func(*TagPush) {
	return func(p *TagPush) { p.Forgets, p.Through = true, through }
}

// ofTag gives the push another tag.
func ofTag(tag string) func(*TagPush) { return func(p *TagPush) { p.Tag = tag } }

// A tag stands for its newest push, though the entry of that names it no more; it is not pinned
// to what it showed before. Where that may be forgotten, nobody knows what it stands for.
func TestPinsOfTagsThatEntriesDoNotName(t *testing.T) {
	for _, test := range []struct {
		name               string
		pushes             []TagPush
		newest, lastPassed string
		unnamed            int
	}{
		{name: "its newest push passed", pushes: []TagPush{pushed("a", 1, 1), pushed("b", 2, 2).with(unnamed)}, newest: hexOf("b"), lastPassed: hexOf("b")},
		{name: "its newest push failed", pushes: []TagPush{pushed("a", 1, 1), pushed("c", 2, 2).with(unnamed)}, newest: "Failed", lastPassed: hexOf("a")},
		{name: "it was pushed again since", pushes: []TagPush{pushed("a", 3, 3), pushed("c", 2, 2).with(unnamed)}, newest: hexOf("a"), lastPassed: hexOf("a")},
		{name: "nobody names it", pushes: []TagPush{pushed("a", 1, 1).with(unnamed)}, unnamed: 1},
		{name: "a newer push of it may be forgotten", pushes: []TagPush{pushed("a", 1, 1), pushed("b", 9, 9).with(ofTag("2")).with(forgets(5))},
			newest: "TooManyTags", lastPassed: "TooManyTags"},
		{name: "it was pushed after all that is forgotten", pushes: []TagPush{pushed("a", 6, 6), pushed("b", 9, 9).with(ofTag("2")).with(forgets(5))},
			newest: hexOf("a"), lastPassed: hexOf("a")},
		{name: "the entry tells of it, and has forgotten others", pushes: []TagPush{pushed("a", 1, 1).with(forgets(5))}, newest: hexOf("a"), lastPassed: hexOf("a")},
		{name: "an entry of another repository has forgotten tags", pushes: []TagPush{pushed("a", 1, 1),
			pushed("b", 9, 9).with(inRepository("r.example.com/x")).with(forgets(5))}, newest: hexOf("a"), lastPassed: hexOf("a")},
	} {
		t.Run(test.name, func(t *testing.T) {
			for policy, want := range map[v1alpha1.PinPolicy]string{v1alpha1.PinNewest: test.newest, v1alpha1.PinLastPassed: test.lastPassed} {
				got := Rules{}.Pins(policy, test.pushes, find, nil, MaxTagBytes)
				if value := got.Tags[web+":1"]; value != want || got.Unnamed != test.unnamed {
					t.Errorf("%s: %q and %d without a name, want %q", policy, value, got.Unnamed, want)
				}
			}
		})
	}
}
