package app

import (
	"flag"
	"strings"
	"testing"
)

func TestControllerOptionsNameTheFieldThatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name  string
		args  []string
		wrong string // "" if nothing is
	}{
		{"the defaults", nil, ""},
		{"a bound of all triggers", []string{"--max-concurrent=1"}, ""},
		{"no run at all", []string{"--max-concurrent=0"}, "max-concurrent 0"},
		{"more runs than any cluster has", []string{"--max-concurrent=100001"}, "max-concurrent 100001"},
		{"nobody to work", []string{"--concurrency=0"}, "concurrency 0"},
		{"no identity", []string{"--identity="}, "identity is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := DefaultControllerOptions()
			o.Identity, o.SystemNamespace = "pod", "revet-system"
			flags := flag.NewFlagSet("controller", flag.ContinueOnError)
			o.AddFlags(flags)
			if err := flags.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			err := o.validate()
			if (err == nil) != (test.wrong == "") || (err != nil && !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("error %v, want one with %q", err, test.wrong)
			}
		})
	}
}
