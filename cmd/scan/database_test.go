package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Filled by one command, a database is shown and verified by another, and refused
// where it is too old.
func TestDatabaseCommands(t *testing.T) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	database := host + "/revet/database:current"
	source := t.TempDir()
	modified := time.Now().UTC().Add(-72 * time.Hour).Format(time.RFC3339)
	for name, id := range map[string]string{"a.json": "GO-2026-1", "b.json": "MAL-2026-1"} {
		body := `{"id":"` + id + `","modified":"` + modified + `","affected":[{"package":{"ecosystem":"Go","name":"example.com/a"}}]}`
		if err := os.WriteFile(filepath.Join(source, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inspect := []string{"database", "inspect", database, "--insecure-registry", host, "--dir", t.TempDir(), "--verify"}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"database", "mirror", "--from", source, "--to", database, "--insecure-registry", host, "--dir", t.TempDir()}, 0, "mirrored " + database + ": " + host + "/revet/database@sha256:"},
		{[]string{"database", "mirror", "--from", source, "--to", database, "--insecure-registry", host, "--dir", t.TempDir()}, 0, "unchanged " + database},
		{inspect, 0, "verified"},
		{inspect, 0, "osv-malware  1        " + modified},
		{append(inspect[:len(inspect):len(inspect)], "-o", "json"), 0, `"schema": "6.`},
		{append(inspect[:len(inspect):len(inspect)], "--max-age", "71h"), 1, "DatabaseTooOld"},
		{[]string{"database", "inspect", host + "/revet/none:1", "--insecure-registry", host}, 1, "DatabaseMissing"},
	} {
		var out bytes.Buffer
		if status := run(t.Context(), test.args, &out, &out); status != test.status || !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: status %d, want %d and %q:\n%s", strings.Join(test.args, " "), status, test.status, test.want, out.String())
		}
		t.Log(out.String())
	}
}
