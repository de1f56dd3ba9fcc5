package wait

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// fileName holds for the last part of a repository's path, as registries take it.
var fileName = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*$`)

// nameFiles names the file of each image in --digest-files.
func (o *options) nameFiles(images []pushed) error {
	if o.files == "" {
		return nil
	}
	taken := map[string]string{}
	for i := range images {
		p := &images[i]
		p.file = path.Base(p.path())
		if !fileName.MatchString(p.file) {
			return command.Usagef("--digest-files: %q has no last part that could name a file", p.arg)
		}
		if other, ok := taken[p.file]; ok {
			return command.Usagef("--digest-files: %q and %q would have the same file, %s", other, p.arg, p.file)
		}
		taken[p.file] = p.arg
	}
	return nil
}

// writeFiles writes the digest of each image into its file.
func (w *waiter) writeFiles() error {
	if w.files == "" {
		return nil
	}
	for i, p := range w.images {
		name := filepath.Join(w.files, p.file)
		if err := os.WriteFile(name, []byte(w.states[i].digest), 0o644); err != nil { //nolint:gosec // a digest is no secret
			return fmt.Errorf("writing the digest of %s: %w", p.arg, err)
		}
	}
	return nil
}
