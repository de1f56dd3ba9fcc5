package verdict

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/revet-dev/revet/pkg/pipeline/report"
)

// The names of the results, and of their files.
const (
	ResultVerdict = "verdict"
	ResultDigest  = "digest"
	ResultSummary = "summary"
	ResultReport  = "report"
	ResultError   = "error"
)

// DefaultResults is where Tekton has tasks write their results.
const DefaultResults = "/tekton/results"

// maxError bounds the error result, which shares Tekton's message.
const maxError = 700

// Write writes the results of v into dir, the verdict last: without it the run
// is an Error, whatever else was written.
func Write(dir string, v Verdict) error {
	if v.Value != Pass && v.Value != Fail || v.Digest.IsZero() {
		return fmt.Errorf("%q on %q is no verdict", v.Value, v.Digest)
	}
	summary, err := v.Summary.Encode()
	if err != nil {
		return err
	}
	for _, r := range []struct{ name, value string }{
		{ResultDigest, v.Digest.String()},
		{ResultSummary, summary},
		{ResultReport, v.Report},
		{ResultVerdict, string(v.Value)},
	} {
		if err := os.WriteFile(filepath.Join(dir, r.name), []byte(r.value), 0o644); err != nil { //nolint:gosec // Tekton reads it as another user
			return fmt.Errorf("write result %s: %w", r.name, err)
		}
	}
	return nil
}

// WriteError writes why a step fails into dir, in one line. Tekton puts the
// results of a failed step into its termination message and the TaskRun.
func WriteError(dir string, cause error) error {
	line := report.Clip(report.Line(cause.Error()), maxError)
	if err := os.WriteFile(filepath.Join(dir, ResultError), []byte(line), 0o644); err != nil { //nolint:gosec // Tekton reads it as another user
		return fmt.Errorf("write result %s: %w", ResultError, err)
	}
	return nil
}
