package filter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/filter"
)

func pushed() (*v1alpha1.ImageVerification, *v1alpha1.ImageFacts) {
	created := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return &v1alpha1.ImageVerification{
			Spec: v1alpha1.ImageVerificationSpec{
				Repository: v1alpha1.RepositoryReference{Name: "demo/app"},
				Digest:     "sha256:" + strings.Repeat("a", 64),
				FirstPush:  v1alpha1.PushRecord{Tag: "v1"},
			},
			Status: v1alpha1.ImageVerificationStatus{Tags: []v1alpha1.TagStatus{
				{PushRecord: v1alpha1.PushRecord{Tag: "latest"}},
			}},
		}, &v1alpha1.ImageFacts{
			MediaType: "application/vnd.oci.image.manifest.v1+json",
			Platforms: []string{"linux/amd64"},
			Labels:    map[string]string{"tier": "prod", "a.b/c": "x"},
			Size:      1000,
			Created:   &created,
		}
}

func TestEvaluate(t *testing.T) {
	for _, test := range []struct {
		name, expression string
		want             filter.Result
	}{
		{"no filter admits everything", "", filter.Result{Matches: true}},
		{"a label is compared", "image.labels['tier'] == 'prod'", filter.Result{Matches: true}},
		{"a label with dots is compared", `image.labels["a.b/c"] == 'x'`, filter.Result{Matches: true}},
		{"a label is read as a field", "image.labels.tier == 'prod'", filter.Result{Matches: true}},
		{"a label that differs does not match", "image.labels['tier'] == 'dev'", filter.Result{Message: "the trigger's filter is false for this image"}},
		{"a label that is absent does not match, and the message says so", "image.labels['team'] == 'x'",
			filter.Result{Message: `the filter reads label "team", which the image does not have`}},
		{"a label that is absent does not match as a field either", "image.labels.team != 'x'",
			filter.Result{Message: `the filter reads label "team", which the image does not have`}},
		{"has tells whether a label is there", "!has(image.labels.team) && has(image.labels.tier)", filter.Result{Matches: true}},
		{"in tells whether a label is there", "!('team' in image.labels) && 'tier' in image.labels", filter.Result{Matches: true}},
		{"tags hold the first push too", "image.tags == ['latest', 'v1']", filter.Result{Matches: true}},
		{"every variable is there", "image.repository.startsWith('demo/') && image.digest.startsWith('sha256:') && image.mediaType.contains('oci') && " +
			"image.platforms.exists(p, p == 'linux/amd64') && image.size < 2000 && image.created > timestamp('2026-01-01T00:00:00Z')", filter.Result{Matches: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := filter.Compile(test.expression)
			if err != nil {
				t.Fatal(err)
			}
			entry, facts := pushed()
			got, err := f.Evaluate(entry, facts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// A filter that reads tags might admit an entry by one that the entry does not name: it does not
// refuse it. Any other filter decides as ever.
func TestTagsThatAnEntryDoesNotName(t *testing.T) {
	for expression, want := range map[string]bool{
		"'v9' in image.tags": true, "image.tags.exists(t, t == 'v9') && image.labels['team'] == 'x'": true,
		"'v1' in image.tags": true, "image.labels['tier'] == 'dev'": false, "image.labels['team'] == 'x'": false,
	} {
		f, err := filter.Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		entry, facts := pushed()
		entry.Status.MoreTags = &v1alpha1.MoreTags{}
		entry.Status.MoreTags.Pack([]v1alpha1.PackedTag{{Key: v1alpha1.KeyOfTag("v9")}})
		if got, err := f.Evaluate(entry, facts); err != nil || got.Matches != want {
			t.Errorf("%s: matches %t, %v", expression, got.Matches, err)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, test := range []struct{ name, expression, want string }{
		{"an expression that does not parse", "image.size >", "Syntax error"},
		{"a variable that is not there, naming those that are", "image.name == 'x'", "image.repository, image.digest"},
		{"types that do not fit", "image.size == 'big'", "no matching overload"},
		{"a result that is no bool", "image.repository", "must return a bool"},
		{"labels by a computed name", "image.labels[image.repository] == 'x'", "constant names only"},
		{"labels as a whole", "size(image.labels) > 0", "constant names only"},
		{"labels in a comprehension", "image.labels.exists(k, k == 'tier')", "constant names only"},
		{"an expression that is too long", "image.repository == '" + strings.Repeat("x", 5000) + "'", "at most 4096"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := filter.Compile(test.expression)
			if err == nil {
				t.Fatalf("compiled: %v", f)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func TestEvaluationThatFailsNeitherMatchesNorSkips(t *testing.T) {
	for _, test := range []struct{ name, expression string }{
		{"an index out of range", "image.tags[7] == 'x'"},
		{"a division by zero", "1 / (image.size - 1000) == 1"},
		{"an evaluation that costs too much", "image.tags.map(a, image.tags.map(b, image.tags.map(c, image.tags.map(d, " +
			"image.tags.map(e, image.tags.map(f, image.tags.map(g, image.tags.map(h, image.tags.map(i, image.tags.map(j, image.tags.map(k, image.tags.map(l, image.tags.map(m, image.tags.map(n, n + m)))))))))))))).size() > 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := filter.Compile(test.expression)
			if err != nil {
				t.Fatal(err)
			}
			entry, facts := pushed()
			if got, err := f.Evaluate(entry, facts); err == nil || got.Matches {
				t.Errorf("Evaluate = %v, %v; want an error", got, err)
			}
		})
	}
}

func TestLabelsListsWhatTheFilterNames(t *testing.T) {
	f, err := filter.Compile("image.labels['tier'] == 'prod' && (has(image.labels.team) || 'a.b/c' in image.labels) && image.labels.tier != ''")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.b/c", "team", "tier"}, f.Labels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestNothingKnownIsEvaluatedWithEmptyFacts(t *testing.T) {
	f, err := filter.Compile("image.size == 0 && image.platforms.size() == 0 && image.created == timestamp('1970-01-01T00:00:00Z')")
	if err != nil {
		t.Fatal(err)
	}
	entry, _ := pushed()
	got, err := f.Evaluate(entry, nil)
	if err != nil || !got.Matches {
		t.Errorf("Evaluate = %v, %v; want a match", got, err)
	}
}
