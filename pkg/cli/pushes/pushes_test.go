package pushes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

const recordings = "../../../test/events/imagestreams"

// recordedFiles returns the recorded steps in the order of their recording.
func recordedFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordings, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	order := map[string]int{}
	for _, file := range files {
		var step struct{ Order int }
		decodeFile(t, file, &step)
		order[file] = step.Order
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	if len(files) < 50 {
		t.Fatalf("only %d recorded steps", len(files))
	}
	return files
}

func decodeFile(t *testing.T, file string, into any) {
	t.Helper()
	content, err := fs.ReadFile(os.DirFS(recordings), filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// pushesOfRecordings runs the command over all recorded steps.
func pushesOfRecordings(t *testing.T) []pushLine {
	t.Helper()
	r := commandtest.Run(New, "", nil, append([]string{"pushes"}, recordedFiles(t)...)...)
	if r.Status != 0 || r.ErrOut != "" {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	return parseLines(t, r.Out)
}

func parseLines(t *testing.T, out string) []pushLine {
	t.Helper()
	var lines []pushLine
	for line := range strings.Lines(out) {
		var p pushLine
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		lines = append(lines, p)
	}
	return lines
}

// short prints a push as the recordings' transitions name it.
func (p pushLine) short() string {
	return fmt.Sprintf("%s %s:%s@%s", p.Reason, p.Repository, p.Tag, p.Digest[7:15])
}

func TestPushesOfTheRecordings(t *testing.T) {
	r := commandtest.Run(New, "", nil, append([]string{"pushes"}, recordedFiles(t)...)...)
	if r.Status != 0 || r.ErrOut != "" {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	commandtest.Golden(t, "pushes.jsonl", r.Out)
}

// What must be a push and what must not, step by step, by hand: the golden file
// could be updated by mistake.
func TestWhatIsAndIsNotAPush(t *testing.T) {
	found := map[string][]string{}
	for _, p := range pushesOfRecordings(t) {
		step, _, _ := strings.Cut(p.Step, "-")
		found[step] = append(found[step], p.short())
	}
	for _, test := range []struct {
		what, step string
		want       []string
	}{
		{"the first push of a stream", "01", []string{"NewHead demo/app:latest@cb61bde6"}},
		{"a new digest under the tag", "02", []string{"NewHead demo/app:latest@c4237252"}},
		{"the same digest under a new tag", "04", []string{"NewHead demo/app:v1@c4237252"}},
		{"a known image in a new stream", "05", []string{"NewHead demo/other:latest@c4237252"}},
		{"a copy by a mount", "05b", []string{"NewHead demo2/copy:latest@c4237252"}},
		{"a roll-back to an older digest", "06", []string{"NewHead demo/app:latest@cb61bde6"}},
		{"a tag by the registry's API", "07", []string{"NewHead demo/app:v2@cb61bde6"}},
		{"an index, once, and not its children", "11b", []string{"NewHead demo/sk:multi@0776ac4c"}},
		{"a push by digest, without a tag", "12", nil},
		{"a tag's deletion; v3 was pushed in a step that was not kept", "14", []string{"NewHead demo/app:v3@ab0f3bc9"}},
		{"a signature; v2 was pushed again after its deletion", "15", []string{"NewHead demo/app:v2@cb61bde6"}},
		{"an attestation and an SBOM", "15b", nil},
		{"an annotation", "16", nil},
		{"a label", "16b", nil},
		{"an Image's annotation", "16c", nil},
		{"an update that changes nothing", "16d", nil},
		{"a lookup policy", "16e", nil},
		{"an Image's signature", "16f", nil},
		{"a new alias, whose creation raises the source tag's generation", "17", []string{"NewHead demo/app:stable@cb61bde6"}},
		{"a push that an alias follows", "17b", []string{"NewHead demo/app:latest@9d5b34f7", "NewHead demo/app:stable@9d5b34f7"}},
		{"a pinned tag that is pointed elsewhere", "18b", []string{"NewHead demo/app:pinned@c4237252"}},
		{"an alias across namespaces", "19", []string{"NewHead demo2/prod:latest@c4237252"}},
		{"a reference, whose digest is not known", "20", nil},
		{"a reference that is not imported", "20b", nil},
		{"an import", "21", []string{"NewHead demo/imp:v@cb61bde6"}},
		{"an import of what changed upstream", "21c", []string{"NewHead demo/imp:v@b4f20953"}},
		{"a failed import", "22", nil},
		{"a failed import onto a tag that has items", "22c", nil},
		{"an import from nowhere", "22e", nil},
		{"an import of five tags", "24", []string{
			"NewHead demo/all:t10@deef5c87", "NewHead demo/all:t11@b0e6ee29", "NewHead demo/all:t7@3d615788",
			"NewHead demo/all:t8@accb0ffb", "NewHead demo/all:t9@38a553a0"}},
		{"a manifest list into an empty stream", "09b", []string{"NewHead demo/multidk:latest@52799613"}},
		{"a signature in cosign's own shape", "33", nil},
		{"an OCI artefact under an ordinary tag", "33b", nil},
		{"a spec tag's removal; latest and stable moved in a step that was not kept", "34",
			[]string{"NewHead demo/app:latest@9d5b34f7", "NewHead demo/app:stable@9d5b34f7"}},
		{"a head that is edited through the status", "34c", []string{"NewHead demo/app:v1@9d5b34f7"}},
		{"an Image's deletion", "35", nil},
		{"a stream's deletion", "36", nil},
		{"an empty stream", "37", nil},
		{"a push into it", "37b", []string{"NewHead demo/empty:latest@cb61bde6"}},
		{"its last tag's deletion", "38", nil},
		{"a raised generation; stable moved in a step that was not kept", "16g", []string{"NewHead demo/app:stable@22f7fbda"}},
		{"an import that fails", "51", nil},
		{"the deletion of a tag in use", "53f", nil},
		{"a pruned tail, of a stream that is seen for the first time", "34d", []string{
			"History demo/hist:fast@c4237252", "NewHead demo/hist:fast@cb61bde6",
			"History demo/hist:latest@e4e975bd", "History demo/hist:latest@693c26f8", "NewHead demo/hist:latest@3fcd0ef4"}},
	} {
		t.Run(test.step+" "+test.what, func(t *testing.T) {
			if diff := gocmp.Diff(test.want, found[test.step]); diff != "" {
				t.Errorf("pushes (-want +got):\n%s", diff)
			}
		})
	}
}

// notRunnable are the transitions to what cannot run.
var notRunnable = map[string]bool{
	"15-cosign-sig-tag demo/app:sha256-c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262.sig@5291d841":                 true,
	"15b-cosign-att-sbom-tags demo/app:sha256-c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262.att@c13447d5":          true,
	"15b-cosign-att-sbom-tags demo/app:sha256-c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262.sbom@893706f7":         true,
	"33-oci-artifact-real-cosign-shape demo/art:sha256-c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262.sig@06c6c646": true,
	"33b-oci-artifact-empty-config demo/art:artifact@bdcb8fea":                                                                        true,
}

// gaps are heads that moved in steps which were not kept: the transitions
// compare with the event before, of which there is no file.
var gaps = []string{
	"14-tag-delete-istag demo/app:v3@ab0f3bc9",                     // pushed at 01:26:38
	"15-cosign-sig-tag demo/app:v2@cb61bde6",                       // pushed again at 01:26:42, after its deletion in 14
	"18-spec-tag-pin-isimage demo/app:latest@c4237252",             // pushed at 01:27:10
	"18-spec-tag-pin-isimage demo/app:stable@c4237252",             // followed latest as its alias
	"21e-import-image-already-pushed demo/imp:local@1396dbe4",      // pushed at 01:27:28
	"11d-skopeo-multi-index-only demo/skm:latest@ab649a77",         // the stream is first seen here
	"34-spec-tag-removed-by-edit demo/app:latest@9d5b34f7",         // pushed at 01:27:18
	"34-spec-tag-removed-by-edit demo/app:stable@9d5b34f7",         // followed latest as its alias
	"08i-sparse-index-unknown-children demo/multi:latest@77b5749c", // the stream is first seen here
	"16g-bump-generation demo/app:stable@22f7fbda",                 // pushed at 01:30:00
	"34d-history-pruned-tail demo/hist:fast@cb61bde6",              // the stream is first seen here
	"34d-history-pruned-tail demo/hist:latest@3fcd0ef4",            // the stream is first seen here
}

var (
	streamLine = regexp.MustCompile(`^  Stream \S+ (\S+) .*? \| (.*)$`)
	headMove   = regexp.MustCompile(`^(\S+): image \S+→([0-9a-f]{8})\b`)
)

// transitions returns the heads' moves that the recorder wrote down.
func transitions(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(recordings, "transitions.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var moves []string
	step := ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, " ") {
			step, _, _ = strings.Cut(line, " ")
			continue
		}
		m := streamLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, change := range strings.Split(m[2], " ; ") {
			if h := headMove.FindStringSubmatch(change); h != nil {
				moves = append(moves, fmt.Sprintf("%s %s:%s@%s", step, m[1], h[1], h[2]))
			}
		}
	}
	if len(moves) < 40 {
		t.Fatalf("only %d transitions were read", len(moves))
	}
	return moves
}

// Every head's move that the recorder saw is a push, and nothing else is.
func TestPushesAreTheRecordedTransitions(t *testing.T) {
	want := slices.Clone(gaps)
	unseen := maps.Clone(notRunnable)
	for _, move := range transitions(t) {
		delete(unseen, move)
		if !notRunnable[move] {
			want = append(want, move)
		}
	}
	for move := range unseen {
		t.Errorf("%q is listed as not runnable, and is no transition", move)
	}
	var got []string
	for _, p := range pushesOfRecordings(t) {
		if p.Reason == "NewHead" {
			got = append(got, fmt.Sprintf("%s %s:%s@%s", p.Step, p.Repository, p.Tag, p.Digest[7:15]))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("moves of heads (-transitions +pushes):\n%s", diff)
	}
}

// A raised generation alone, as in step 16g and after a re-push, is no push.
func TestGenerationsAndVersionsAreNoPush(t *testing.T) {
	var step struct {
		Events []struct{ Object json.RawMessage }
	}
	decodeFile(t, filepath.Join(recordings, "16g-bump-generation.json"), &step)
	object := string(step.Events[len(step.Events)-1].Object)
	raised := regexp.MustCompile(`"generation": (\d+)`).ReplaceAllString(object, `"generation": 9$1`)
	raised = regexp.MustCompile(`"resourceVersion": "\d+"`).ReplaceAllString(raised, `"resourceVersion": "999999"`)
	if raised == object {
		t.Fatal("nothing was raised")
	}
	first := parseLines(t, commandtest.Run(New, object, nil, "pushes", "-").Out)
	both := parseLines(t, commandtest.Run(New, object+raised, nil, "pushes", "-").Out)
	if len(first) == 0 {
		t.Fatal("the object shows no pushes")
	}
	if diff := gocmp.Diff(first, both); diff != "" {
		t.Errorf("pushes (-once +then raised):\n%s", diff)
	}
}
