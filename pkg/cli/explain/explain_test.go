package explain

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

func TestExplain(t *testing.T) {
	for _, test := range []struct{ name, golden, image string }{
		{"a failed image", "failed.txt", "demo/app:latest"},
		{"a passed image of a registry", "passed.txt", "registry.example.com/team/good:v2"},
		{"an image that ran outside its sandbox", "error.txt", "web-1"},
		{"an entry without status", "pending.txt", "other:v9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := commandtest.Run(New, "", commandtest.ClusterOf(commandtest.AllEntries()...), "explain", test.image)
			if r.Status != 0 || r.ErrOut != "" {
				t.Fatalf("status %d: %s", r.Status, r.ErrOut)
			}
			commandtest.Golden(t, test.golden, r.Out)
		})
	}
	r := commandtest.Run(New, "", commandtest.ClusterOf(commandtest.AllEntries()...), "explain", "-A", commandtest.DigestA, "-o", "json")
	if r.Status != 0 {
		t.Fatal(r.ErrOut)
	}
	commandtest.Golden(t, "three.json", r.Out)
}

// Tags that the entry does not name are counted, and lead to it.
func TestExplainCountsTags(t *testing.T) {
	e := commandtest.PassedEntry()
	for forgotten, want := range map[int64]string{0: "and 1 more tags, which the entry does not name", 4: "4 of them: nobody knows which they were; delete tags"} {
		e.Status.MoreTags = &v1alpha1.MoreTags{Forgotten: forgotten}
		e.Status.MoreTags.Pack([]v1alpha1.PackedTag{{Key: v1alpha1.KeyOfTag("v77")}})
		r := commandtest.Run(New, "", commandtest.ClusterOf(e), "explain", "registry.example.com/team/good:v77")
		if r.Status != 0 || !strings.Contains(r.Out, want) {
			t.Errorf("status %d, %s\n%s", r.Status, r.ErrOut, r.Out)
		}
	}
}

// What a host name's difference, or several matches, means is said beside the story.
func TestExplainSaysHowItMatched(t *testing.T) {
	r := commandtest.Run(New, "", commandtest.ClusterOf(commandtest.AllEntries()...), "explain", "localhost:5001/demo/app")
	if diff := cmp.Diff("No entry has the host of \"localhost:5001/demo/app\"; these have the same path.\n", r.ErrOut); diff != "" || r.Status != 0 {
		t.Errorf("status %d, standard error (-want +got):\n%s", r.Status, diff)
	}
	r = commandtest.Run(New, "", commandtest.ClusterOf(commandtest.AllEntries()...), "explain", commandtest.DigestB)
	if diff := cmp.Diff("2 verifications match, the newest push first.\n", r.ErrOut); diff != "" || r.Status != 0 {
		t.Errorf("status %d, standard error (-want +got):\n%s", r.Status, diff)
	}
}
