package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// What a pipeline says was switched off stands with the verdict, whatever it is called,
// and without one there is nothing that it could stand with.
func TestJudgeTellsWhatWasSwitchedOff(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, said, summary string
		want                []string
	}{
		{"nothing", "pass", `{"counts":{}}`, nil},
		{"an empty list", "pass", `{"off":[]}`, nil},
		{"one", "pass", `{"off":["scan"]}`, []string{"scan"}},
		{"several, in another order, one twice", "fail", `{"off":["signature","scan","scan"]}`, []string{"scan", "signature"}},
		{"a name that is none", "pass", `{"off":["scan,all","Scan"," "]}`, []string{"unnamed"}},
		{"no list", "pass", `{"off":"scan"}`, []string{"unnamed"}},
		{"no names", "pass", `{"off":[{"check":"scan"}]}`, []string{"unnamed"}},
		{"many", "pass", `{"off":["a","b","c","d","e","f","g","h","i"]}`, []string{"a", "b", "c", "d", "e", "f", "g", "others"}},
		{"a summary that is too long", "pass", `{"off":["scan"],"x":"` + strings.Repeat("x", 4000) + `"}`, []string{"scan"}},
		{"no summary", "pass", "", nil},
		{"a summary that is no JSON", "pass", "off: [scan]", nil},
		{"no verdict", "", `{"off":["scan"]}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := lifecycle.OutcomeOf(digest, "", done(map[string]string{"verdict": tt.said, "digest": digest.String(), "summary": tt.summary}), nil)
			if diff := cmp.Diff(tt.want, o.Basis.Off); diff != "" {
				t.Errorf("off (-want +got):\n%s", diff)
			}
			var s v1alpha1.ImageVerificationStatus
			now := time.Unix(1, 0)
			lifecycle.RecordBegin(&s, v1alpha1.RunStatus{Name: "x"}, now)
			lifecycle.RecordOutcome(&s, lifecycle.PipelineRun{Name: "x"}, o, now)
			if diff := cmp.Diff(tt.want, s.Runs[0].Off); diff != "" || s.NotChecked != strings.Join(tt.want, ",") {
				t.Errorf("the table has %q, the run (-want +got):\n%s", s.NotChecked, diff)
			}
			lifecycle.RecordBegin(&s, v1alpha1.RunStatus{Name: "y"}, now)
			lifecycle.RecordEnd(&s, lifecycle.RunFailed, "", now)
			if want := strings.Join(tt.want, ","); s.NotChecked != want {
				t.Errorf("beside the verdict that stands, the table has %q, want %q", s.NotChecked, want)
			}
		})
	}
}
