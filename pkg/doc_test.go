package pkg_test

import (
	"io/fs"
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
	docs = append(docs, filepath.FromSlash("../README.md"), filepath.FromSlash("../CONTRIBUTING.md"), filepath.FromSlash("../SECURITY.md"),
		filepath.FromSlash("../test/README.md"))
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

var (
	testInDocs = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)`")
	testInCode = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)\(`)
)

// Every test that the guarantees and the page on security name exists: what is said to be
// tested is.
func TestTestsNamedInGuaranteesExist(t *testing.T) {
	exist := map[string]bool{}
	for _, root := range []string{"../pkg", "../test", "../cmd"} {
		err := filepath.WalkDir(filepath.FromSlash(root), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for _, m := range testInCode.FindAllStringSubmatch(string(content), -1) {
				exist[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for doc, atLeast := range map[string]int{"docs/guarantees.md": 20, "docs/security.md": 10} {
		content, err := os.ReadFile(filepath.FromSlash("../" + doc))
		if err != nil {
			t.Fatal(err)
		}
		named := testInDocs.FindAllStringSubmatch(string(content), -1)
		for _, m := range named {
			if !exist[m[1]] {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
		if len(named) < atLeast {
			t.Errorf("found only %d tests in %s: the pattern no longer matches", len(named), doc)
		}
	}
}
