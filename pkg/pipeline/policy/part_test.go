package policy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// The digest of a policy changes with the file and with each document beside it, and a policy that
// is missing has the default's.
func TestPart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.yaml")
	seen := map[string]string{}
	try := func(what string) {
		t.Helper()
		p, err := policy.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[p.Part()]; ok {
			t.Errorf("%s has the digest of %s", what, before)
		}
		seen[p.Part()] = what
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	try("none")
	if seen[policy.Default().Part()] != "none" {
		t.Error("a policy that is missing does not have the default's digest")
	}
	write(path, "failOn: [critical]\n")
	try("a policy")
	write(path, "failOn: [critical, high]\n")
	try("another policy")
	document := `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/1","author":"a",` +
		`"timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"pkg:deb/debian/x"}],"status":"fixed"}]}`
	write(filepath.Join(dir, "a.vex.json"), document)
	try("a document")
	write(filepath.Join(dir, "a.vex.json"), document+"\n")
	try("a changed document")
	write(filepath.Join(dir, "b.vex.json"), document)
	try("two documents")
}

// The report of a scan names the inventory that was judged.
func TestReportNamesTheInventory(t *testing.T) {
	inventory := digest(9)
	r, _ := policy.Default().Report(&result.Findings{Digest: root, Inventory: inventory}, "", now)
	if r.Inventory != inventory {
		t.Errorf("the inventory is %s, want %s", r.Inventory, inventory)
	}
}
