package triggers_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/xeipuuv/gojsonschema"
)

// The full report is SARIF 2.1.0 by the schema of the standard, and another
// program's reader knows all that it holds.
func TestReportsAreSARIF(t *testing.T) {
	files, err := filepath.Glob("../../pkg/pipeline/sarif/testdata/*.sarif")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports: %v", err)
	}
	schema := gojsonschema.NewStringLoader(sarifSchema(t))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		result, err := gojsonschema.Validate(schema, gojsonschema.NewBytesLoader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range result.Errors() {
			t.Errorf("%s: %s", file, e)
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&sarif.Report{}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// sarifSchema is the standard's schema, as the source of that reader has it.
func sarifSchema(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if constant, ok := file.Scope.Objects["schema"].Decl.(*ast.ValueSpec); ok {
		if text, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value); err == nil {
			return text
		}
	}
	t.Fatal("the reader has no schema")
	return ""
}
