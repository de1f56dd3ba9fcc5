package triggers

import (
	"bytes"
	"embed"
	"fmt"
)

//go:embed *.yaml
var manifests embed.FS

// Manifests returns all manifests of this folder as one stream of YAML documents, in the
// order of the files' names. Images are named as ko names them until it has built them:
// ko://IMPORT_PATH.
func Manifests() ([]byte, error) {
	files, err := manifests.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("listing the manifests of the pipeline: %w", err)
	}
	var all bytes.Buffer
	for _, f := range files {
		content, err := manifests.ReadFile(f.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the manifests of the pipeline: %w", err)
		}
		if all.Len() > 0 {
			all.WriteString("---\n")
		}
		all.Write(content)
	}
	return all.Bytes(), nil
}
