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
		want    []string
	}{
		{"nothing is missing", nil, nil},
		{"two programs of one package", []string{"containerd", "containerd-shim-runc-v2"}, []string{"containerd"}},
		{"a program whose package has another name", []string{"nft"}, []string{"nftables"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := missingPackages(func(program string) bool { return !slices.Contains(row.missing, program) })
			// The network plug-ins are looked for on the machine itself.
			got = slices.DeleteFunc(got, func(name string) bool { return name == networkPackage })
			if diff := cmp.Diff(row.want, append([]string(nil), got...)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
}
