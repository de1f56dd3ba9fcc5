package image_test

import (
	"encoding/json"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
)

// A platform that asks for a feature is told from one that does not, whatever the
// feature is called.
func TestFeatures(t *testing.T) {
	for raw, want := range map[string]image.Features{
		`{}`:                                        "",
		`{"os.features":null}`:                      "",
		`{"os.features":[]}`:                        "",
		`{"os.features":["a","b"]}`:                 "a,b,",
		`{"os.features":[""]}`:                      ",",
		`{"os.features":[null]}`:                    ",",
		`{"os.features":["a"],"os.features":[]}`:    "a,",
		`{"os.features":["a"],"os.features":null}`:  "a,",
		`{"os.features":["a"],"OS.Features":["b"]}`: "a,b,",
	} {
		var got image.Platform
		if err := json.Unmarshal([]byte(raw), &got); err != nil || got.OSFeatures != want {
			t.Errorf("%s asks for %q, %v; want %q", raw, got.OSFeatures, err, want)
		}
	}
}
