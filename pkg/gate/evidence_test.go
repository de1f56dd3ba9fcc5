package gate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// An entry speaks of its digest, and of the images that were read from its index's bytes.
func TestEvidenceOf(t *testing.T) {
	of := func(digit string) image.Digest {
		d, err := image.ParseDigest("sha256:" + strings.Repeat(digit, 64))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	child := v1alpha1.ChildImage{Digest: of("b").String(), Platform: "linux/amd64"}
	verdict := &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass}
	entry := &v1alpha1.ImageVerification{
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: "prod", UID: "t1"}, Digest: of("a").String(),
			Image: &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.manifest.v1+json", Children: []v1alpha1.ChildImage{{Digest: of("c").String()}}},
		},
		Status: v1alpha1.ImageVerificationStatus{
			Phase: v1alpha1.PhasePassed, Verdict: verdict,
			Image: &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json", Children: []v1alpha1.ChildImage{child}},
		},
	}
	entry.Namespace, entry.Name = "vetting", "app"
	want := Evidence{Namespace: "vetting", Trigger: "prod", Entry: "app", Phase: v1alpha1.PhasePassed, Verdict: verdict, Index: true}
	earlier, ofChild := want, want
	earlier.Earlier, ofChild.Child = true, &child
	single := entry.DeepCopy()
	single.Status.Image = nil
	ofSingle := want
	ofSingle.Index = false
	unread := entry.DeepCopy()
	unread.Status.Image, unread.Spec.Image = nil, nil
	for _, test := range []struct {
		name    string
		entry   *v1alpha1.ImageVerification
		digest  image.Digest
		current string
		want    []Evidence
	}{
		{"its own digest", entry, of("a"), "t1", []Evidence{want}},
		{"its trigger is another one now", entry, of("a"), "t2", []Evidence{earlier}},
		{"its trigger is gone", entry, of("a"), "", []Evidence{earlier}},
		{"an image of its index", entry, of("b"), "t1", []Evidence{ofChild}},
		{"what somebody claimed to be in its index", entry, of("c"), "t1", nil},
		{"another digest", entry, of("d"), "t1", nil},
		{"an image that is no index", single, of("a"), "t1", []Evidence{ofSingle}},
		{"what nobody read may be an index", unread, of("a"), "t1", []Evidence{want}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, EvidenceOf(test.entry, test.digest, test.current)); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}
