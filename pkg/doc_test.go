package pkg_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var pathInDocs = regexp.MustCompile("`((?:cmd|pkg|config|eventing|triggers|test|docs)(?:/[A-Za-z0-9_.-]+)*/?)`")

// Every path of the repository that the documentation names exists.
func TestPathsNamedInDocumentationExist(t *testing.T) {
	docs, err := filepath.Glob(filepath.FromSlash("../docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	docs = append(docs, filepath.FromSlash("../README.md"), filepath.FromSlash("../CONTRIBUTING.md"))
	named := 0
	for _, doc := range docs {
		content, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pathInDocs.FindAllStringSubmatch(string(content), -1) {
			named++
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s names %s, which does not exist", strings.TrimPrefix(doc, "../"), m[1])
			}
		}
	}
	if named < 10 {
		t.Fatalf("found only %d paths in the documentation: the pattern no longer matches", named)
	}
}
