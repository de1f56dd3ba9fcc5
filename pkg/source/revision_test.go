package source_test

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

const revisionName = "org.opencontainers.image.revision"

func claims(revision string) map[string]string { return map[string]string{revisionName: revision} }

// What an image claims is recorded only where it is a plain word and nothing contradicts it.
func TestTheRevisionThatAnImageClaims(t *testing.T) {
	commit := strings.Repeat("0123456789abcdef", 4)
	for _, test := range []struct {
		name                string
		annotations, labels map[string]string
		want                string
		ignored             v1alpha1.RevisionIgnored
	}{
		{"nothing", nil, nil, "", ""},
		{"an empty label", nil, claims(""), "", ""},
		{"another label", nil, map[string]string{"revision": "abc"}, "", ""},
		{"a label", nil, claims(commit), commit, ""},
		{"an annotation", claims("v1.2-3-g0abc+dirty_x"), nil, "v1.2-3-g0abc+dirty_x", ""},
		{"both, which agree", claims("abc"), claims("abc"), "abc", ""},
		{"an empty annotation", claims(""), claims("abc"), "abc", ""},
		{"both, which differ", claims("abc"), claims("abd"), "", v1alpha1.RevisionDiffers},
		{"128 characters", nil, claims(strings.Repeat("a", 128)), strings.Repeat("a", 128), ""},
		{"129 characters", nil, claims(strings.Repeat("a", 129)), "", v1alpha1.RevisionMalformed},
		{"a line break at its end", nil, claims("abc\n"), "", v1alpha1.RevisionMalformed},
		{"a quotation mark", nil, claims(`a","b":"`), "", v1alpha1.RevisionMalformed},
		{"a shell's variable", nil, claims("$(id)"), "", v1alpha1.RevisionMalformed},
		{"a space", nil, claims("a b"), "", v1alpha1.RevisionMalformed},
		{"a way out of a directory", nil, claims("../a"), "", v1alpha1.RevisionMalformed},
		{"an option", nil, claims("-n"), "", v1alpha1.RevisionMalformed},
		{"letters of another script", nil, claims("аbc"), "", v1alpha1.RevisionMalformed},
		{"bytes that are no text", nil, claims("a\xff"), "", v1alpha1.RevisionMalformed},
		{"a malformed annotation beside a label", claims("$"), claims("abc"), "", v1alpha1.RevisionMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f v1alpha1.ImageFacts
			source.SetRevision(&f, test.annotations, test.labels)
			if f.ClaimedRevision != test.want || f.RevisionIgnored != test.ignored {
				t.Errorf("revision %q, ignored %q; want %q and %q", f.ClaimedRevision, f.RevisionIgnored, test.want, test.ignored)
			}
		})
	}
}

// An index claims what its children agree on. Its annotation speaks for those that are silent,
// and contradicts those that are not.
func TestTheRevisionThatAnIndexClaims(t *testing.T) {
	amd64 := &image.Platform{OS: "linux", Architecture: "amd64"}
	nowhere := &image.Platform{OS: "unknown", Architecture: "unknown"}
	says := func(revision string) v1alpha1.ImageFacts { return v1alpha1.ImageFacts{ClaimedRevision: revision} }
	ignored := func(why v1alpha1.RevisionIgnored) v1alpha1.ImageFacts {
		return v1alpha1.ImageFacts{RevisionIgnored: why}
	}
	type child struct {
		platform *image.Platform
		facts    v1alpha1.ImageFacts
	}
	for _, test := range []struct {
		name        string
		children    []child
		annotations map[string]string
		want        string
		ignored     v1alpha1.RevisionIgnored
	}{
		{"no child", nil, nil, "", ""},
		{"an annotation alone", nil, claims("abc"), "abc", ""},
		{"children that agree", []child{{amd64, says("abc")}, {nil, says("abc")}}, nil, "abc", ""},
		{"children that differ", []child{{amd64, says("abc")}, {nil, says("abd")}}, nil, "", v1alpha1.RevisionDiffers},
		{"a silent child", []child{{amd64, says("abc")}, {nil, says("")}}, nil, "", v1alpha1.RevisionDiffers},
		{"a silent child first", []child{{amd64, says("")}, {nil, says("abc")}}, nil, "", v1alpha1.RevisionDiffers},
		{"silent children", []child{{amd64, says("")}, {nil, says("")}}, nil, "", ""},
		{"silent children and an annotation", []child{{amd64, says("")}, {nil, says("")}}, claims("abc"), "abc", ""},
		{"a silent child and an annotation", []child{{amd64, says("")}, {nil, says("abc")}}, claims("abc"), "abc", ""},
		{"an annotation that contradicts", []child{{amd64, says("abc")}}, claims("abd"), "", v1alpha1.RevisionDiffers},
		{"an annotation cannot decide between children", []child{{amd64, says("abc")}, {nil, says("abd")}}, claims("abc"), "", v1alpha1.RevisionDiffers},
		{"what no host runs is not asked", []child{{amd64, says("abc")}, {nowhere, says("abd")}}, nil, "abc", ""},
		{"a child that contradicts itself", []child{{amd64, says("abc")}, {nil, ignored(v1alpha1.RevisionDiffers)}}, claims("abc"), "", v1alpha1.RevisionDiffers},
		{"a malformed child", []child{{amd64, says("abc")}, {nil, ignored(v1alpha1.RevisionMalformed)}}, nil, "", v1alpha1.RevisionMalformed},
		{"a malformed annotation", []child{{amd64, says("abc")}}, claims("a b"), "", v1alpha1.RevisionMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f v1alpha1.ImageFacts
			var r source.Revisions
			for _, c := range test.children {
				r.AddChild(c.platform, c.facts)
			}
			r.SetIndex(&f, test.annotations)
			if f.ClaimedRevision != test.want || f.RevisionIgnored != test.ignored {
				t.Errorf("revision %q, ignored %q; want %q and %q", f.ClaimedRevision, f.RevisionIgnored, test.want, test.ignored)
			}
		})
	}
}
