package verdict

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/runresult"
)

// DefaultResults is the directory in which Tekton expects a Task's results.
const DefaultResults = "/tekton/results"

// maxError and maxErrorQuoted bound the error result. It travels in a message that the kubelet
// cuts: see package taskresult.
const (
	maxError       = 700
	maxErrorQuoted = 1200
)

// Write writes the results of v into dir. It writes the verdict last: a run without that result is
// an Error, whatever else it wrote.
func Write(dir string, v Verdict) error {
	if v.Value != Pass && v.Value != Fail || v.Digest.IsZero() {
		return fmt.Errorf("%q on %q is not a verdict", v.Value, v.Digest)
	}
	summary, err := v.Summary.Encode()
	if err != nil {
		return err
	}
	basis, err := v.Basis.Encode()
	if err != nil {
		return err
	}
	for _, r := range []struct{ name, value string }{
		{runresult.Digest, v.Digest.String()},
		{runresult.Summary, summary},
		{runresult.BasisResult, basis},
		{runresult.Report, v.Report},
		{runresult.Verdict, string(v.Value)},
	} {
		if err := WriteResult(dir, r.name, r.value); err != nil {
			return err
		}
	}
	return nil
}

// WriteResult writes one result into dir.
func WriteResult(dir, name, value string) error {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil { //nolint:gosec // Tekton reads it as another user
		return fmt.Errorf("write result %s: %w", name, err)
	}
	return nil
}

// WriteError writes the reason why a step fails into dir, in one line. Tekton copies the results of
// a failed step into its termination message and the TaskRun.
func WriteError(dir string, cause error) error {
	line := taskresult.Fit(result.Clip(result.Line(cause.Error()), maxError), maxErrorQuoted)
	return WriteResult(dir, runresult.Error, line)
}
