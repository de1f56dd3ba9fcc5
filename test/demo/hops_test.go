package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The ledger tells of a request in the write that confirms its run, so that the
// run is often seen first.
func TestHopsAreToldOnceAndInOrder(t *testing.T) {
	for _, test := range []struct {
		name string
		told []hop
		want string
	}{
		{"the run is seen before its request", []hop{hopPush, hopRun, hopFired, hopFired, hopPod}, "push fired run started Pod"},
		{"the request is seen before its run", []hop{hopPush, hopFired, hopRun, hopRun, hopPod}, "push fired run started Pod"},
		{"the request is never seen", []hop{hopRun, hopPod, hopVerdict}, "run started Pod verdict"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			began := time.Unix(0, 0)
			s := &story{name: "good", began: began, out: &printer{w: &out}, seen: map[hop]bool{}}
			for _, h := range test.told {
				s.tell(h, began, "it")
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				got = append(got, strings.TrimSpace(strings.TrimSuffix(line, "it\n")[len("    +0.000s  good  "):]))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("hops (-want +got):\n%s", diff)
			}
		})
	}
}
