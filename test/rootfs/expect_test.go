//go:build rootfs

package rootfs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// expectation is a record, and which packages of a file system it is about. Both are
// written by hand: nothing of them was taken from a scanner.
type expectation struct {
	id, ecosystem, name string
	// fixed is empty if there is no fix.
	fixed string
	// want are the packages that have the vulnerability, as "NAME VERSION"; "*" is the
	// version that the distribution's own tool tells.
	want []string
	// source says why.
	source string
}

// record is the expectation's record in OSV's format.
func (e expectation) record() map[string]any {
	events := []map[string]string{{"introduced": "0"}}
	if e.fixed != "" {
		events = append(events, map[string]string{"fixed": e.fixed})
	}
	kind := "ECOSYSTEM"
	if e.ecosystem == "Go" {
		kind = "SEMVER"
	}
	return map[string]any{
		"schema_version": "1.6.0", "id": e.id, "modified": "2026-11-01T00:00:00Z", "details": e.source,
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": e.ecosystem, "name": e.name},
			"ranges":  []any{map[string]any{"type": kind, "events": events}},
		}},
		"database_specific": map[string]string{"severity": "HIGH", "url": "https://example.com/" + e.id},
	}
}

// line is how a finding is compared.
func (e expectation) line(pkg string) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s fix %s", e.id, pkg, e.fixed))
}

// writeRecords writes a directory that a database is made from.
func writeRecords(t *testing.T, dir string, all []expectation) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		raw, err := json.Marshal(e.record())
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, e.id+".json"), string(raw))
	}
	write(t, filepath.Join(dir, "as-of"), "2026-11-29T00:00:00Z\n")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // of an image
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // of an image
		t.Fatal(err)
	}
}
