package node

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReportsAreReadUntilTheClusterIsReadyOrEnds(t *testing.T) {
	written := func(reports ...report) string {
		var pipe bytes.Buffer
		for _, r := range reports {
			newReporter(&pipe).send(r)
		}
		return pipe.String()
	}
	for _, row := range []struct {
		name, pipe string
		said       []string
		ended      bool // the error is errEnded
		fails      bool
	}{
		{"ready ends it well", written(report{Text: "a"}, report{Ready: true}, report{Text: "b"}), []string{"a"}, false, false},
		{"an error is passed on", written(report{Text: "a"}, report{Error: "no"}), []string{"a"}, false, true},
		{"the end without ready is an error", written(report{Text: "a"}), []string{"a"}, true, true},
		{"nothing at all is an error", "", nil, true, true},
		{"what is no report is an error", "panic: x\n", nil, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			var said []string
			err := readReports(strings.NewReader(row.pipe), func(text string) { said = append(said, text) })
			if diff := cmp.Diff(row.said, said); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
			if errors.Is(err, errEnded) != row.ended || (err != nil) != row.fails {
				t.Errorf("error %v, want any: %t, errEnded: %t", err, row.fails, row.ended)
			}
		})
	}
}
