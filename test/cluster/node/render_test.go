package node

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the expected files anew")

func sample() Config {
	return Config{
		ID: "0123456789", Checkout: "/src/revet", Cache: "/cache", Dir: "/cache/clusters/0123456789",
		RegistryDir: "/cache/clusters/0123456789.registry", Executable: "/cache/clusters/0123456789/cluster",
		Kube: "/cache/bin/kube-1/kube", Router: "/cache/bin/kube-router-1/kube-router", Pause: "/cache/bin/pause-1/pause", GVisor: "/cache/bin/gvisor-1",
		CNI: "/usr/lib/cni", Snapshotter: "overlayfs", APIPort: 6443, RegistryPort: 5001,
		Notify:            []Endpoint{{Name: "revet", URL: "http://receiver/registries/local", TokenFile: "/t"}},
		KubernetesVersion: "v1.35.4",
	}
}

// TestConfigurationFilesAreAsExpected holds what the programs are told: each
// file of testdata/rendered was read by the program it is for.
func TestConfigurationFilesAreAsExpected(t *testing.T) {
	files, err := render(sample())
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "rendered")
	if *update {
		for path, data := range files {
			if err := os.WriteFile(filepath.Join(golden, flat(path)), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, got := map[string]string{}, map[string]string{}
	entries, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(golden, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		want[entry.Name()] = string(data)
	}
	for path, data := range files {
		got[flat(path)] = string(data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got); run with -update if this is meant:\n%s", diff)
	}
}

// flat is a path as the name of one file, without what some systems and the Go
// module proxy do not take.
func flat(path string) string {
	return strings.NewReplacer("/", "__", ":", "_").Replace(path)
}

func TestYAMLFilesAreYAML(t *testing.T) {
	files, err := render(sample())
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range files {
		if !strings.HasSuffix(path, ".yaml") {
			continue
		}
		var object map[string]any
		if err := yaml.UnmarshalStrict(data, &object); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestProgramsAreStartedAsExpected(t *testing.T) {
	var got strings.Builder
	all := newComponents(sample())
	for _, c := range slices.Concat(all.first, all.then, all.last) {
		got.WriteString(c.name + ": " + c.path + "\n")
		for _, arg := range c.args {
			got.WriteString("  " + arg + "\n")
		}
	}
	golden := filepath.Join("testdata", "components.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("programs (-want +got); run with -update if this is meant:\n%s", diff)
	}
}
