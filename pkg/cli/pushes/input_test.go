package pushes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

const hexB = "c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262"

// streamJSON is an ImageStream demo/app with one tag.
func streamJSON(tag, hex string, second int) string {
	return fmt.Sprintf(`{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"app","namespace":"demo","uid":"u1"},`+
		`"status":{"tags":[{"tag":%q,"items":[{"created":"2026-11-21T01:26:%02dZ","image":"sha256:%s"}]}]}}`, tag, second, hex)
}

func signatureJSON(hex string) string {
	return `{"kind":"Image","apiVersion":"image.openshift.io/v1","metadata":{"name":"sha256:` + hex + `"},` +
		`"dockerImageManifestMediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"dockerImageLayers":[{"name":"x","size":1,"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json"}]}`
}

func cloudEventJSON(verb, kind, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"https://api","type":"dev.knative.apiserver.%s","apiversion":"image.openshift.io/v1","kind":%q,`+
		`"datacontenttype":"application/json","data":%s}`, verb, kind, data)
}

// Each form of input gives the same push, and keeps what it showed.
func TestFormsOfInput(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	one := streamJSON("v1", a, 1)
	first, second := "NewHead demo/app:v1@aaaaaaaa", "NewHead demo/app:v1@bbbbbbbb"
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{"an object", one, []string{first}},
		{"an object twice", one + one, []string{first}},
		{"objects one after another", one + "\n" + streamJSON("v1", b, 2), []string{first, second}},
		{"a byte order mark and white space", "\xef\xbb\xbf\n\n " + one, []string{first}},
		{"a List", `{"kind":"List","apiVersion":"v1","items":[` + one + `]}`, []string{first}},
		{"an empty List", `{"kind":"List","apiVersion":"v1","items":[]}`, nil},
		{"a List of nothing", `{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","items":null}`, nil},
		{"a typed list, whose items name no kind", `{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","items":[` +
			strings.Replace(one, `"kind":"ImageStream","apiVersion":"image.openshift.io/v1",`, "", 1) + `]}`, []string{first}},
		{"an array", "[" + one + "," + streamJSON("v1", b, 2) + "]", []string{first, second}},
		{"watch events", `{"type":"ADDED","object":` + one + `}` + "\n" + `{"type":"MODIFIED","object":` + streamJSON("v1", b, 2) + `}`, []string{first, second}},
		{"a bookmark, which tells nothing", `{"type":"BOOKMARK","object":{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{}}}` + one, []string{first}},
		{"a deletion, which forgets", `{"type":"ADDED","object":` + one + `}{"type":"DELETED","object":` + one + `}{"type":"ADDED","object":` + one + `}`, []string{first, first}},
		{"a recorded step", `{"order":1,"step":"s","events":[{"type":"ADDED","resource":"imagestreams","object":` + one + `}]}`, []string{first}},
		{"a recorded step without events", `{"order":1,"step":"s","events":[]}`, nil},
		{"a CloudEvent", cloudEventJSON("resource.add", "ImageStream", one), []string{first}},
		{"a batch", "[" + cloudEventJSON("resource.add", "ImageStream", one) + "," + cloudEventJSON("resource.update", "ImageStream", streamJSON("v1", b, 2)) + "]", []string{first, second}},
		{"a CloudEvent about a deletion", cloudEventJSON("resource.add", "ImageStream", one) + cloudEventJSON("resource.delete", "ImageStream", one) + one, []string{first, first}},
		{"a CloudEvent with a reference", cloudEventJSON("ref.add", "ImageStream", `{"kind":"ImageStream","namespace":"demo","name":"app","apiVersion":"image.openshift.io/v1"}`), nil},
		{"a CloudEvent of another kind", cloudEventJSON("resource.add", "Pod", `{"kind":"Pod"}`), nil},
		{"YAML documents", "# a comment\n---\nkind: ImageStream\napiVersion: image.openshift.io/v1\nmetadata: {name: app, namespace: demo, uid: u1}\n" +
			"status:\n  tags:\n  - tag: v1\n    items:\n    - {created: \"2026-11-21T01:26:01Z\", image: \"sha256:" + a + "\"}\n---\n" + streamJSON("v1", b, 2), []string{first, second}},
		{"an Image after its stream in one input", "[" + streamJSON("x", a, 1) + "," + signatureJSON(a) + "]", nil},
		{"an Image before its stream", signatureJSON(a) + streamJSON("x", a, 1), nil},
		{"an Image too late", streamJSON("v1", a, 1) + signatureJSON(a), []string{first}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := commandtest.Run(New, test.in, nil, "pushes", "-")
			if r.Status != 0 || r.ErrOut != "" {
				t.Fatalf("status %d: %s", r.Status, r.ErrOut)
			}
			var got []string
			for _, p := range parseLines(t, r.Out) {
				got = append(got, p.short())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("pushes (-want +got):\n%s", diff)
			}
		})
	}
}

// State is carried from one file to the next, and lines name where they come from.
func TestStateIsCarriedFromFileToFile(t *testing.T) {
	dir := t.TempDir()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	files := []string{"1.json", "step.json", "3.json"}
	for i, content := range []string{
		streamJSON("v1", a, 1),
		`{"order":2,"step":"the-step","events":[{"type":"MODIFIED","object":` + streamJSON("v1", b, 2) + `}]}`,
		streamJSON("v1", b, 2),
	} {
		files[i] = filepath.Join(dir, files[i])
		if err := os.WriteFile(files[i], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := commandtest.Run(New, streamJSON("v1", a, 9), nil, append([]string{"pushes"}, append(files, "-")...)...)
	want := `{"step":"1.json","repository":"demo/app","tag":"v1","digest":"sha256:` + a + `","pushedAt":"2026-11-21T01:26:01Z","reason":"NewHead"}
{"step":"the-step","repository":"demo/app","tag":"v1","digest":"sha256:` + b + `","pushedAt":"2026-11-21T01:26:02Z","reason":"NewHead"}
{"step":"-","repository":"demo/app","tag":"v1","digest":"sha256:` + a + `","pushedAt":"2026-11-21T01:26:09Z","reason":"NewHead"}
`
	if diff := cmp.Diff(want, r.Out); diff != "" || r.Status != 0 {
		t.Errorf("status %d, output (-want +got):\n%s%s", r.Status, diff, r.ErrOut)
	}
}

// Bad input: an error names file, position and cause; what was found before it
// is printed; the status is 1.
func TestBadInput(t *testing.T) {
	good := streamJSON("v1", strings.Repeat("a", 64), 1)
	for _, test := range []struct {
		name, in string
		found    int
		want     []string // parts of the error
	}{
		{"nothing", "", 0, []string{"standard input: it is empty"}},
		{"white space", " \n\n", 0, []string{"it is empty"}},
		{"a truncated object", good + "\n\n" + good[:100], 1, []string{"standard input: line 3", "the JSON ends in the middle of a value"}},
		{"broken JSON", good + "\n{\"kind\": nonsense}", 1, []string{"line 2", "invalid character"}},
		{"a number", good + "\n42", 1, []string{"line 2", "this is a JSON number", "accepted are"}},
		{"a list of numbers", "[" + good + ",7]", 1, []string{"line 1, element 2", "this is a JSON number"}},
		{"another object", good + "\n\n\n" + `{"hello":"world"}`, 1, []string{"line 4", "this value shows no pushes", "accepted are"}},
		{"another kind", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}`, 0, []string{"the object is of another kind"}},
		{"another kind in a List", `{"kind":"List","items":[` + good + `,{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}]}`, 1, []string{"item 2", "another kind"}},
		{"no uid", strings.Replace(good, `"uid":"u1"`, `"x":1`, 1), 0, []string{"has no metadata.uid"}},
		{"a bad event in a step", `{"step":"s","events":[{"type":"ADDED","object":` + good + `},{"type":"ADDED","object":{"kind":"ImageStream","apiVersion":"image.openshift.io/v1"}}]}`, 1,
			[]string{"line 1, event 2", "no name"}},
		{"an unknown watch event", `{"type":"GONE","object":` + good + `}`, 0, []string{`unknown watch event type "GONE"`}},
		{"a watch that ended", `{"type":"ERROR","object":{"kind":"Status","code":410}}`, 0, []string{"the watch ended with an error", "410"}},
		{"an invalid CloudEvent", `{"specversion":"1.0","type":"x"}`, 0, []string{"CloudEvent"}},
		{"a CloudEvent that contradicts itself", strings.Replace(cloudEventJSON("resource.add", "ImageStream", good), `"id":"1"`, `"id":"1","name":"evil"`, 1), 0,
			[]string{"Contradicts", `the event says name "evil", the body "app"`}},
		{"an Image that cannot be read", `{"kind":"Image","apiVersion":"image.openshift.io/v1","metadata":{"name":"x"},"dockerImageLayers":{}}`, 0, []string{"reading an Image"}},
		{"broken YAML", "a: b\n---\n- : [\n", 0, []string{"document 1"}},
		{"a notification of a registry", `{"events":[{"id":"1","action":"push"}]}`, 0, []string{"event 1", "this value shows no pushes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := commandtest.Run(New, test.in, nil, "pushes", "-")
			if r.Status != 1 {
				t.Errorf("status %d, want 1", r.Status)
			}
			if got := strings.Count(r.Out, "\n"); got != test.found {
				t.Errorf("%d pushes are printed, want %d:\n%s", got, test.found, r.Out)
			}
			for _, part := range test.want {
				if !strings.Contains(r.ErrOut, part) {
					t.Errorf("the error does not say %q:\n%s", part, r.ErrOut)
				}
			}
		})
	}
}

// Twenty tags, one of them hostile: nineteen pushes, and a word about the other.
func TestAHostileTagIsPassedOver(t *testing.T) {
	var tags []string
	for i := range 20 {
		tag := fmt.Sprintf("v%d", i)
		if i == 7 {
			tag = `\"$(reboot)'\u001b[2J`
		}
		tags = append(tags, fmt.Sprintf(`{"tag":"%s","items":[{"created":"2026-11-21T01:26:01Z","image":"sha256:%s"}]}`, tag, hexB))
	}
	in := `{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"app","namespace":"demo","uid":"u1"},"status":{"tags":[` + strings.Join(tags, ",") + `]}}`
	r := commandtest.Run(New, in, nil, "pushes", "--verbose", "-")
	if got := len(parseLines(t, r.Out)); got != 19 || r.Status != 0 {
		t.Errorf("status %d, %d pushes", r.Status, got)
	}
	want := `-: skipped: demo/app tag "\"$(reboot)'\x1b[2J": InvalidTag` + "\n"
	if diff := cmp.Diff(want, r.ErrOut); diff != "" {
		t.Errorf("standard error (-want +got):\n%s", diff)
	}
}
