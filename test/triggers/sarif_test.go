package triggers_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// The full report is SARIF 2.1.0 by the schema of the standard, and holds nothing
// that the standard does not name.
func TestReportsAreSARIF(t *testing.T) {
	files, err := filepath.Glob("../../pkg/pipeline/sarif/testdata/*.sarif")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file) //nolint:gosec // a file of this repository
		if err != nil {
			t.Fatal(err)
		}
		report, err := sarif.FromBytes(raw, sarif.WithStrictValidation()) // it adds nothing
		if err == nil {
			err = report.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&sarif.Report{}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if diff := cmp.Diff("2.1.0", report.Version); diff != "" || len(report.Runs) == 0 {
			t.Errorf("%s: %d runs, version %s", file, len(report.Runs), diff)
		}
	}
}
