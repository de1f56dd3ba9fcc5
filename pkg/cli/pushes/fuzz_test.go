package pushes

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/image"
)

// Whatever is piped into "pushes": each line is a push that can be one, an error
// is told in lines that print, and what was found before it is found again.
func FuzzPushes(f *testing.F) {
	for _, step := range []string{
		"01-first-push-new-stream", "06-rollback-push-older-digest", "11b-skopeo-multi-all", "15-cosign-sig-tag", "17b-push-moves-alias",
		"20-spec-tag-external-reference", "22-import-fail-notfound", "36-stream-delete", "38-delete-last-tag",
	} {
		raw, err := os.ReadFile(recordings + "/" + step + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("\xef\xbb\xbf" + streamJSON("v1", hexB, 1) + "\n" + cloudEventJSON("resource.update", "ImageStream", streamJSON("v\x1b[2J", hexB, 2)))
	f.Add(`{"kind":"ImageList","apiVersion":"image.openshift.io/v1","items":[{"metadata":{"name":"x"}}]}`)
	f.Add(`[[[{"step":"x","events":[null]}]]]`)
	f.Add("kind: ImageStream\n---\nkind: List\nitems: [1]\n")
	f.Fuzz(func(t *testing.T, in string) {
		r := commandtest.Run(New, in, nil, "pushes", "--verbose", "-")
		if r.Status != 0 && r.Status != 1 || r.Status == 1 && r.ErrOut == "" {
			t.Errorf("status %d, error %q", r.Status, r.ErrOut)
		}
		if i := strings.IndexFunc(r.Out+r.ErrOut, func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' && c != '\ufffd' }); i >= 0 {
			t.Errorf("what is printed does things to a terminal: %q", r.Out+r.ErrOut)
		}
		for line := range strings.Lines(r.Out) {
			var p struct {
				Repository, Tag, Reason, PushedAt string
				Digest                            image.Digest
			}
			if err := json.Unmarshal([]byte(line), &p); err != nil || !image.ValidTag(p.Tag) || p.Digest.IsZero() || p.Reason == "" || p.PushedAt == "" || p.Repository == "" {
				t.Errorf("a line that is no push: %q (%v)", line, err)
			}
		}
		// What follows changes nothing of what came before.
		if again := commandtest.Run(New, in+"\n}", nil, "pushes", "-"); r.Status == 0 && strings.HasPrefix(strings.TrimSpace(in), "{") && !strings.HasPrefix(again.Out, r.Out) {
			t.Errorf("with a brace after it, the output begins otherwise:\n%s\n%s", r.Out, again.Out)
		}
	})
}
