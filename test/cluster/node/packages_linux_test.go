package node

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyPackagesWhoseProgramsAreMissingAreInstalled(t *testing.T) {
	for _, row := range []struct {
		name    string
		missing []string
		enforce bool
		want    []string
	}{
		{"nothing is missing", nil, false, nil},
		{"two programs of one package", []string{"containerd", "containerd-shim-runc-v2"}, false, []string{"containerd"}},
		{"a program whose package has another name", []string{"nft"}, true, []string{"nftables"}},
		{"a program of policies", []string{"ipset"}, true, []string{"ipset"}},
		{"a program of policies where none are enforced", []string{"ipset"}, false, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := missingPackages(func(program string) bool { return !slices.Contains(row.missing, program) }, row.enforce)
			// The network plug-ins are looked for on the machine itself.
			got = slices.DeleteFunc(got, func(name string) bool { return name == networkPackage })
			if diff := cmp.Diff(row.want, append([]string(nil), got...)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
}
