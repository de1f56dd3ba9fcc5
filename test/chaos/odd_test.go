//go:build linux

package chaos

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSomeFaultsStandBesideTheOthers(t *testing.T) {
	for list, want := range map[string]struct {
		only   []string
		none   bool
		odd    bool
		tenant bool
	}{
		"":                            {},
		"all":                         {},
		"none":                        {none: true},
		"registry-odd":                {none: true, odd: true},
		"all registry-odd":            {odd: true},
		"tenant":                      {none: true, tenant: true},
		"tenant registry-odd":         {none: true, odd: true, tenant: true},
		"all,tenant":                  {tenant: true},
		"registry-odd, kill, adapter": {only: []string{"kill", "adapter"}, odd: true},
	} {
		only, none, err := ParseFaults(list)
		_, odd, tenant := takeOwn(list)
		if err != nil || !slices.Equal(only, want.only) || none != want.none || odd != want.odd || tenant != want.tenant {
			t.Errorf("%q is %q, none %t, odd %t, tenant %t, %v", list, only, none, odd, tenant, err)
		}
	}
	if _, _, err := ParseFaults("registry-od"); err == nil {
		t.Error("a name that nothing has is taken")
	}
}

// Property: a head of the odd registry that no entry covers is lost, and one below the head is not due.
func TestHeadsOfTheOddRegistryAreDue(t *testing.T) {
	w := &env{odd: "odd:1"}
	heads := w.oddHeads([]acknowledged{
		{"ns/app", "v1", "a"}, {"ns/app", "v1", "b"}, {"ns/app", "v2", "a"}, {"ns/" + probeStream, "v1", "c"},
	})
	slices.SortFunc(heads, func(x, y acknowledged) int { return slices.Compare([]string{x.Tag}, []string{y.Tag}) })
	if diff := cmp.Diff([]acknowledged{{"odd:1/ns/app", "v1", "b"}, {"odd:1/ns/app", "v2", "a"}}, heads); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
	a := accountOf(observed{
		Odd:     heads,
		Entries: []entry{{Name: "e", Repository: "odd:1/ns/app", Digest: "a", Final: true}},
		Runs:    []pipelineRun{{Name: "r", Repository: "odd:1/ns/app", Digest: "a", Finished: true}},
	})
	if a.Covered != 1 || len(a.Lost) != 1 {
		t.Errorf("covered %d, lost %q; want one of each", a.Covered, a.Lost)
	}
}
