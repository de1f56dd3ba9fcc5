package triggers_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/xeipuuv/gojsonschema"
)

// SBOMs are CycloneDX 1.6 by the schema of the standard, and another program's
// reader finds all packages in them.
func TestSBOMsAreCycloneDX(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	schemas := gojsonschema.NewSchemaLoader()
	for name, file := range map[string]string{"spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json"} {
		if err := schemas.AddSchema("http://cyclonedx.org/schema/"+name, schemaIn(t, string(dir), file)); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := schemas.Compile(schemaIn(t, string(dir), "bom-1.6.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../cmd/scan/internal/stock/testdata/*.cdx.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no SBOMs: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		result, err := schema.Validate(gojsonschema.NewBytesLoader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range result.Errors() {
			t.Errorf("%s: %s", file, e)
		}
		var bom cyclonedx.BOM
		if err := cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if bom.Components == nil || len(*bom.Components) < 3 || bom.Metadata.Component.Name == "" {
			t.Errorf("%s: the reader finds %+v", file, bom.Components)
		}
	}
}

func schemaIn(t *testing.T, dir, name string) gojsonschema.JSONLoader {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(dir), "schema", name))
	if err != nil {
		t.Fatal(err)
	}
	return gojsonschema.NewBytesLoader(raw)
}
