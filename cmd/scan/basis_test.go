package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/runresult"
)

// decided runs a step, which must succeed, and returns what it says that it decided by.
func (f *fixture) decided(step string, args ...string) result.Parts {
	f.t.Helper()
	if status, _, errOut := f.scan(args...); status != 0 {
		f.t.Fatalf("%q: status %d: %s", args, status, errOut)
	}
	parts, err := result.ReadParts(f.layout, step)
	if err != nil {
		f.t.Fatal(err)
	}
	return parts
}

// The steps say what they decided by: a flag that decides changes its part, and no other.
func TestStepsSayWhatTheyDecidedBy(t *testing.T) {
	f := newFixture(t, time.Now().UTC().Add(-time.Hour))
	inventory := f.decided("sbom", "sbom")
	if other := f.decided("sbom", "sbom", "--self=registry.example.com/scan@sha256:1"); len(inventory) != 1 || other["steps"] == inventory["steps"] {
		t.Errorf("sbom decided by %v, and of another image by %v", inventory, other)
	}
	scan := []string{"vulnerabilities", "--insecure-registry=" + f.host, "--database=" + f.database}
	first := f.decided("scan", scan...)
	if diff := cmp.Diff([]string{"parameters", "policy", "steps"}, slices.Sorted(maps.Keys(first))); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	for part, flag := range map[string]string{
		"steps":      "--self=registry.example.com/scan@sha256:1",
		"parameters": "--database-max-age=121h",
		"policy":     "--policy=" + f.file("policy.yaml", "failOn: [low]\n"),
		"":           "--timeout=9m",
	} {
		var changed []string
		for name, digest := range f.decided("scan", append(slices.Clone(scan), flag)...) {
			if first[name] != digest {
				changed = append(changed, name)
			}
		}
		if strings.Join(changed, ",") != part {
			t.Errorf("%s changes %q, want %q", flag, changed, part)
		}
	}
}

// The check prints what its verdict rests on, as a run writes it; no verdict rests on nothing.
func TestCheckPrintsTheBasis(t *testing.T) {
	f := newFixture(t, time.Now().UTC().Add(-time.Hour))
	check := func(args ...string) checked {
		t.Helper()
		var out, errOut bytes.Buffer
		run(t.Context(), append([]string{"check", f.host + "/team/app:1", "-o=json", "--insecure-registry=" + f.host, "--temp=" + t.TempDir()}, args...), &out, &errOut)
		var said checked
		if err := json.Unmarshal(out.Bytes(), &said); err != nil {
			t.Fatalf("%s: %v; %s", out.String(), err, errOut.String())
		}
		return said
	}
	basis := func(args ...string) runresult.Basis {
		t.Helper()
		b, err := runresult.ParseBasis(string(check(args...).Basis))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	got := basis("--database=" + f.database)
	if got.Inventory == nil || got.Inventory.Reference != "" || got.Database == nil {
		t.Fatalf("basis %+v", got)
	}
	want := runresult.Basis{
		Policy: got.Policy, Parts: got.Parts, Checks: []string{"layers", "scan", "validate"}, Off: []string{"signature"}, Platforms: []string{"linux/amd64"},
		Database: got.Database, Inventory: got.Inventory,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Policy == "" || len(got.Parts) != 6 || got.Parts["database"] != got.Database.Digest[len("sha256:"):][:12] {
		t.Errorf("basis (-want +got):\n%s%+v", diff, got)
	}
	if again := basis("--database=" + f.database); again.Policy != got.Policy {
		t.Errorf("the same check again has the policy digest %s, and not %s", again.Policy, got.Policy)
	}
	if off := basis("--scan=Off"); off.Inventory != nil || off.Database != nil || off.Parts["database"] != "" || off.Policy == got.Policy {
		t.Errorf("without a scan the basis is %+v", off)
	}
	if said := check(); said.Verdict != verdictError || said.Basis != nil {
		t.Errorf("an error says %+v", said)
	}
}
