package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The reference in the repository is that of the types.
func TestReferenceIsUpToDate(t *testing.T) {
	want, err := reference("../../../pkg/apis/revet/v1alpha1", roots...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/api.md is not what the types say; run \"make generate\" (-want +got):\n%s", diff)
	}
}

// What markers and constants say is in the reference, and nothing of what is not
// exported in JSON.
func TestReference(t *testing.T) {
	dir := t.TempDir()
	const source = `package v1

// ImageTrigger declares something.
//
// +kubebuilder:object:root=true
type ImageTrigger struct {
	Meta ` + "`json:\",inline\"`" + `
	// Spec is the
	// declaration.
	Spec *Spec ` + "`json:\"spec\"`" + `
	hidden string
}

// Mode says how.
type Mode string

// The modes.
const (
	ModeA Mode = "A"
	ModeB Mode = "B"
)

// Spec is what is declared.
type Spec struct {
	// Mode is one.
	// +kubebuilder:default=A
	// +optional
	Mode Mode ` + "`json:\"mode,omitempty\"`" + `
	// Names are a|b.
	// +kubebuilder:validation:MaxItems=3
	Names []string ` + "`json:\"names\"`" + `
	Gone string ` + "`json:\"-\"`" + `
}

// ImageVerification is another.
type ImageVerification struct {
	// Labels are those.
	Labels map[string]string ` + "`json:\"labels\"`" + `
}
`
	if err := os.WriteFile(filepath.Join(dir, "types.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := reference(dir, "ImageTrigger", "ImageVerification")
	if err != nil {
		t.Fatal(err)
	}
	want := heading + `
## ImageTrigger

ImageTrigger declares something.

| field | type | description |
|---|---|---|
| ` + "`spec`" + ` | Spec | Spec is the declaration. |

### Spec

Spec is what is declared.

| field | type | description |
|---|---|---|
| ` + "`mode`" + ` | Mode | Mode is one. One of A, B. Default: ` + "`A`" + `. Optional. |
| ` + "`names`" + ` | list of string | Names are a\|b. At most this many items: 3. |

## ImageVerification

ImageVerification is another.

| field | type | description |
|---|---|---|
| ` + "`labels`" + ` | map from string to string | Labels are those. |
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reference (-want +got):\n%s", diff)
	}
}
