package app

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		{"one run, and nothing to reserve", []string{"--max-concurrent=1", "--reserve=0"}, ""},
		{"a reserve that is everything", []string{"--max-concurrent=10", "--reserve=10"}, "reserve 10"},
		{"a reserve below any", []string{"--reserve=-2"}, "reserve -2"},
		{"runs that may take no time", []string{"--longest-run=59s"}, "longest-run 59s"},
		{"nobody to work", []string{"--concurrency=0"}, "concurrency 0"},
		{"no identity", []string{"--identity="}, "identity is empty"},
		{"Pods that are listed without a break", []string{"--gate-census-interval=999ms"}, "gate-census-interval 999ms"},
		{"Pods that are listed too rarely to know what runs", []string{"--gate-census-interval=241s"}, "gate-census-interval 4m1s"},
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

// Both programs read the namespace the same way: SYSTEM_NAMESPACE, or POD_NAMESPACE in
// manifests that set no other, and the command line overrides both.
func TestProgramsReadTheNamespaceTheSameWay(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		args []string
		want string
	}{
		{"nothing is set", nil, nil, "revet-system"},
		{"the manifests' own", map[string]string{"SYSTEM_NAMESPACE": "a"}, nil, "a"},
		{"an older manifest's", map[string]string{"POD_NAMESPACE": "b"}, nil, "b"},
		{"both", map[string]string{"SYSTEM_NAMESPACE": "a", "POD_NAMESPACE": "b"}, nil, "a"},
		{"the command line", map[string]string{"SYSTEM_NAMESPACE": "a"}, []string{"--system-namespace=c"}, "c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			controller, receiver := DefaultControllerOptions(), DefaultReceiverOptions()
			var got []string
			for _, p := range []struct {
				o      options
				common *Common
			}{{&controller, &controller.Common}, {&receiver, &receiver.Common}} {
				if err := readOptions("program", p.o, test.args, func(name string) string { return test.env[name] }, io.Discard); err != nil {
					t.Fatal(err)
				}
				got = append(got, p.common.SystemNamespace)
			}
			if diff := cmp.Diff([]string{test.want, test.want}, got); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACommandLineThatIsWrongIsPrinted(t *testing.T) {
	for _, test := range []struct{ arg, says string }{
		{"extra", `receiver: unexpected argument "extra"`},
		{"--no-such-flag", "flag provided but not defined: -no-such-flag"},
	} {
		var printed strings.Builder
		o := DefaultReceiverOptions()
		if err := readOptions("receiver", &o, []string{test.arg}, func(string) string { return "" }, &printed); err == nil || !strings.Contains(printed.String(), test.says) {
			t.Errorf("argument %q: error %v, printed %q", test.arg, err, printed.String())
		}
	}
}

// A fifth is reserved, and at least one slot, unless the operator says how many.
func TestTheReserve(t *testing.T) {
	for _, test := range []struct{ most, reserve, want int }{{200, -1, 40}, {4, -1, 1}, {1, -1, 1}, {200, 0, 0}, {200, 7, 7}} {
		o := DefaultControllerOptions()
		o.MaxConcurrent, o.Reserve = test.most, test.reserve
		if got := o.reserve(); got != test.want {
			t.Errorf("of %d with --reserve=%d: %d, want %d", test.most, test.reserve, got, test.want)
		}
	}
	if o := DefaultControllerOptions(); o.reserve() != 40 || o.LongestRun != 2*time.Hour {
		t.Errorf("by default %d, and %s", o.reserve(), o.LongestRun)
	}
}
