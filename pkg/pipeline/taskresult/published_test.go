package taskresult

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
)

var (
	checkedImage = image.DigestOf([]byte("image"))
	handedOn     = image.DigestOf([]byte("list"))
	artifact     = image.DigestOf([]byte("artifact"))
)

// scanned is the outcome of a Task that handed on its documents; signed is another Task's.
func scanned() []Result {
	return []Result{
		{Digest: checkedImage, Documents: handedOn, Inventory: &Inventory{Digest: image.DigestOf([]byte("packages"))}},
		{Digest: checkedImage},
	}
}

const reportReference = "registry.example.com/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000"

var digests = cmp.Comparer(func(a, b image.Digest) bool { return a == b })

// What became of the documents reaches the outcome of the Task that handed them on.
func TestPublishedIsAdded(t *testing.T) {
	p := Published{Digest: checkedImage, Documents: handedOn}.At(reportReference, artifact)
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePublished(text)
	if diff := cmp.Diff(p, got, digests); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	outcomes := scanned()
	if err := got.Add(outcomes); err != nil {
		t.Fatal(err)
	}
	want := scanned()
	want[0].Documents, want[0].Report, want[0].Inventory.Artifact = image.Digest{}, reportReference, artifact
	if diff := cmp.Diff(want, outcomes, digests); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}

	outcomes = scanned()
	if err := (Published{Digest: checkedImage, Documents: handedOn}).Withheld(errors.New("it\nrefuses")).Add(outcomes); err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.Unpublished != "it refuses" || o.Report != "" || !o.Documents.IsZero() {
		t.Errorf("the outcome is %+v", o)
	}
	if p := (Published{}).At(strings.Repeat("x", maxReport+1), artifact); p.Report != "" || p.Unpublished == "" || !p.Artifact.IsZero() {
		t.Errorf("a long reference: %+v", p)
	}
}

// Whoever publishes claims nothing but of the documents that were handed on.
func TestPublishedOfSomethingElse(t *testing.T) {
	good := Published{Digest: checkedImage, Documents: handedOn, Report: reportReference}
	for name, tt := range map[string]struct {
		published func(p *Published)
		outcomes  func(all []Result)
		want      string
	}{
		"another image":       {func(p *Published) { p.Digest = handedOn }, nil, "and the documents published are those of"},
		"other documents":     {func(p *Published) { p.Documents = artifact }, nil, "were handed on, and"},
		"none of them":        {func(p *Published) { *p = Published{Digest: checkedImage} }, nil, "were handed on, and"},
		"nobody handed on":    {nil, func(all []Result) { all[0].Documents = image.Digest{} }, "that no Task handed on"},
		"two handed on":       {nil, func(all []Result) { all[1].Documents = handedOn }, "two Tasks handed on documents"},
		"packages of nothing": {func(p *Published) { p.Artifact = artifact }, func(all []Result) { all[0].Inventory = nil }, "that nobody judged"},
	} {
		p, outcomes := good, scanned()
		if tt.published != nil {
			tt.published(&p)
		}
		if tt.outcomes != nil {
			tt.outcomes(outcomes)
		}
		if err := p.Add(outcomes); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Published{Digest: checkedImage}).Add(scanned()[1:]); err != nil {
		t.Errorf("nothing to publish, and nothing published: %v", err)
	}
}

func TestPublishedIsChecked(t *testing.T) {
	for name, p := range map[string]Published{
		"no image":                  {Documents: handedOn, Report: reportReference},
		"a report that is none":     {Digest: checkedImage, Documents: handedOn, Report: "a b"},
		"both":                      {Digest: checkedImage, Documents: handedOn, Report: reportReference, Unpublished: "x"},
		"neither":                   {Digest: checkedImage, Documents: handedOn},
		"packages beside no report": {Digest: checkedImage, Documents: handedOn, Unpublished: "x", Artifact: artifact},
		"a report of nothing":       {Digest: checkedImage, Report: reportReference},
	} {
		text, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePublished(text); err == nil {
			t.Errorf("%s: %s is accepted", name, text)
		}
	}
	good := `{"digest":"` + checkedImage.String() + `"}`
	if _, err := DecodePublished(good); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "x", good + "{}", strings.Replace(good, "{", `{"x":1,`, 1), good + strings.Repeat(" ", MaxQuoted),
		`{"documents":"` + handedOn.String() + `","unpublished":"x"}`,
	} {
		if _, err := DecodePublished(text); err == nil {
			t.Errorf("%.80q is accepted", text)
		}
	}
}

// An outcome either hands documents on, or says what became of them.
func TestOutcomeThatHandsOn(t *testing.T) {
	good := Result{Digest: checkedImage, Checks: []Check{{Name: "validate", Rules: 1}}}
	good.HandOn(handedOn)
	for name, tt := range map[string]struct {
		change func(o *Result)
		ok     bool
	}{
		"it hands on":             {func(*Result) {}, true},
		"it published as well":    {func(o *Result) { o.Report = reportReference }, false},
		"it says why it did not":  {func(o *Result) { o.Unpublished = "x" }, false},
		"it published by itself":  {func(o *Result) { o.Documents, o.Report = image.Digest{}, reportReference }, true},
		"it says why it does not": {func(o *Result) { o.Documents, o.Unpublished = image.Digest{}, "x" }, true},
	} {
		o := good
		tt.change(&o)
		text, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(text); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
