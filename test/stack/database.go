package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"github.com/revet-dev/revet/test/cluster/upstream"
	"github.com/revet-dev/revet/test/images"
)

const (
	// goRecords is the module that the Go vulnerability database is published as, and the
	// version that the local cluster compares with. Its pseudo-version says how old it is.
	goRecords        = "golang.org/x/vulndb"
	goRecordsVersion = "v0.0.0-20261105234957-e22db6528018"
	// databaseName is where the local cluster keeps its vulnerability database.
	databaseName = "revet/database:current"
	// maxAge is how old the local cluster's database may be: its version is pinned, so that
	// a demo shows the same each time. The default, on a real cluster, is five days.
	maxAge = "87600h"
)

// FillDatabase fills the vulnerability database of the local cluster, as a mirror does:
// from the Go vulnerability database's own module, and the few records of Debian that
// the samples are compared with.
func (s *Stack) FillDatabase(ctx context.Context) error {
	began := time.Now()
	program, err := s.BuildScan(ctx)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp("", "revet-records-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	if err := collectRecords(ctx, source); err != nil {
		return err
	}
	out, err := s.Scan(ctx, program, "database", "mirror", "--from="+source, "--to="+s.Info.RegistryHost+"/"+databaseName)
	if err != nil {
		return err
	}
	s.logf("revet: %s (%s)", strings.TrimSpace(out), time.Since(began).Round(100*time.Millisecond))
	return nil
}

// Scan runs the scanner that BuildScan built, allowed to speak to the local registry over
// plain HTTP, and returns what it printed, also if it fails.
func (s *Stack) Scan(ctx context.Context, program string, args ...string) (string, error) {
	return s.run(ctx, "", program, append(args, "--insecure-registry="+s.Info.RegistryHost)...)
}

// UseDatabase names the database of FillDatabase for the runs of a namespace.
func (s *Stack) UseDatabase(ctx context.Context, namespace string) error {
	if err := s.NameDatabase(ctx, namespace, s.Info.RegistryInCluster+"/"+databaseName); err != nil {
		return err
	}
	return s.SetDefault(ctx, namespace, "database-max-age", maxAge)
}

// NameDatabase names a database, as the cluster reaches it, for the runs of a namespace.
func (s *Stack) NameDatabase(ctx context.Context, namespace, reference string) error {
	named := fmt.Sprintf(`{"data":{"database":%q}}`, reference)
	_, err := s.Kubectl(ctx, "patch", "configmap", "revet-vulnerability-database", "--namespace", namespace, "--type=merge", "--patch", named)
	return err
}

// SetDefault sets the default of a parameter of a namespace's pipeline.
func (s *Stack) SetDefault(ctx context.Context, namespace, param, value string) error {
	raw, err := s.Kubectl(ctx, "get", "pipeline", "scan-and-validate", "--namespace", namespace, "-o", "json")
	if err != nil {
		return err
	}
	var pipeline struct {
		Spec struct{ Params []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(raw), &pipeline); err != nil {
		return fmt.Errorf("reading the pipeline of namespace %s: %w", namespace, err)
	}
	for i, p := range pipeline.Spec.Params {
		if p.Name == param {
			patch := fmt.Sprintf(`[{"op":"add","path":"/spec/params/%d/default","value":%q}]`, i, value)
			_, err := s.Kubectl(ctx, "patch", "pipeline", "scan-and-validate", "--namespace", namespace, "--type=json", "--patch", patch)
			return err
		}
	}
	return fmt.Errorf("the pipeline of namespace %s has no parameter %s", namespace, param)
}

// BuildScan builds the scanner from the checkout, and returns its path.
func (s *Stack) BuildScan(ctx context.Context) (string, error) {
	binary := filepath.Join(s.Info.Dir, "scan")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", binary, ".")
	build.Dir = filepath.Join(s.Root, "cmd", "scan")
	build.Env = append(os.Environ(), upstream.KoEnv("", "", "")...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the scanner: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}

// collectRecords puts all records into dir, with the time that they are of.
func collectRecords(ctx context.Context, dir string) error {
	published, err := module.PseudoVersionTime(goRecordsVersion)
	if err != nil {
		return err
	}
	from, err := downloadRecords(ctx)
	if err != nil {
		return err
	}
	for _, records := range []fs.FS{os.DirFS(from), images.DebianRecords()} {
		if err := os.CopyFS(dir, records); err != nil {
			return fmt.Errorf("collecting vulnerability records: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(dir, "as-of"), []byte(published.Format(time.RFC3339)), 0o600)
}

// downloadRecords returns the folder of the module's records in OSV's format.
func downloadRecords(ctx context.Context) (string, error) {
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", goRecords+"@"+goRecordsVersion)
	download.Dir = os.TempDir() // outside of any module: it is nobody's dependency
	raw, err := download.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(raw, &got); err != nil || jsonErr != nil || got.Dir == "" {
		return "", fmt.Errorf("downloading %s: %w: %s", goRecords, errors.Join(err, jsonErr), got.Error)
	}
	return filepath.Join(got.Dir, "data", "osv"), nil
}
