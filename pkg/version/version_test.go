package version

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The linker's word comes first, then the module's version; a build of a changed tree
// says so.
func TestDescribe(t *testing.T) {
	platform := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: strings.Repeat("0a1b2c3d", 5)}, {Key: "vcs.modified", Value: modified}}
	}
	for _, tt := range []struct {
		name, release string
		info          debug.BuildInfo
		want          string
	}{
		{"nothing is known", "", debug.BuildInfo{}, "development"},
		{"built from a checkout", "", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs("false")}, "development (0a1b2c3d0a1b)"},
		{"built from a changed checkout", "", debug.BuildInfo{Settings: vcs("true")}, "development (0a1b2c3d0a1b, modified)"},
		{"installed as a module", "", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"released", "v1.2.4", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.4"},
		{"a short revision", "", debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0a"}}}, "development (0a)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := describe(tt.release, tt.info); got != tt.want+platform {
				t.Errorf("describe() = %q, want %q", got, tt.want+platform)
			}
		})
	}
}

// What follows "--" is an argument.
func TestRequested(t *testing.T) {
	for line, want := range map[string]bool{
		"--version": true, "-version": true, "--log-level debug --version": true, "": false, "--versions": false, "-- --version": false,
	} {
		if got := Requested(strings.Fields(line)); got != want {
			t.Errorf("Requested(%q) = %t, want %t", line, got, want)
		}
	}
}

// What ships sets the version, by the name that this package gives it.
func TestBuildsSetTheVersion(t *testing.T) {
	const flag = "-X github.com/revet-dev/revet/pkg/version.release="
	raw, err := os.ReadFile("../../ko.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var ko struct {
		Builds []struct {
			ID    string   `json:"id"`
			Flags []string `json:"ldflags"`
		} `json:"builds"`
	}
	if err := yaml.Unmarshal(raw, &ko); err != nil || len(ko.Builds) < 5 {
		t.Fatalf("ko.yaml names %d builds: %v", len(ko.Builds), err)
	}
	for _, b := range ko.Builds {
		if !strings.Contains(strings.Join(b.Flags, " "), flag+"{{") {
			t.Errorf("ko.yaml builds %s without a version: %q", b.ID, b.Flags)
		}
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), flag+"$(VERSION)") {
		t.Errorf("the Makefile does not set %s", flag)
	}
}
