package stepcmd_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
)

// scanner is one that finds an image without packages.
func scanner(_ context.Context, _ oci.Layout, tree oci.Tree, now time.Time) (result.Findings, error) {
	return result.Findings{
		Digest: tree.Root.Digest, Database: result.ScanDatabase{Digest: tree.Root.Digest, AsOf: now},
		Images: []result.ScannedImage{{Platform: "linux/amd64", Digest: tree.Root.Digest}},
	}, nil
}

// fetched makes the layout that the step fetch leaves, and returns it with its digest.
func fetched(t *testing.T) (string, image.Digest) {
	t.Helper()
	img, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	configHash, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := oci.CreateLayout(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(digest string, b []byte) oci.Descriptor {
		d, err := image.ParseDigest(digest)
		if err != nil {
			t.Fatal(err)
		}
		desc := oci.Descriptor{MediaType: "application/vnd.docker.distribution.manifest.v2+json", Digest: d, Size: int64(len(b))}
		if err := os.WriteFile(filepath.Join(dir.Path(), "blobs", "sha256", d.Hex()), b, 0o600); err != nil {
			t.Fatal(err)
		}
		return desc
	}
	put(configHash.String(), config)
	root := put(hash.String(), raw)
	if err := dir.Complete(root, nil); err != nil {
		t.Fatal(err)
	}
	return dir.Path(), root.Digest
}

// step runs the step with flags, and returns what it ended with.
func step(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var v stepcmd.Vulnerabilities
	var out bytes.Buffer
	cmd := &cobra.Command{
		Use: "vulnerabilities", SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.Run(cmd.Context(), &out, scanner) },
	}
	v.Flags(cmd.Flags())
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// Nobody looks only if the owner said so. A database that nobody named is an error that
// names the command that fills one, whatever else is given.
func TestScanIsOffOnlyIfTheOwnerSaysSo(t *testing.T) {
	dir, _ := fetched(t)
	for _, tt := range []struct {
		name string
		args []string
		want string // of the error; empty for none
	}{
		{"nothing is said", nil, "DatabaseNotConfigured: "},
		{"it is on", []string{"--scan=On"}, "kubectl revet fill-database HOST/REPOSITORY:TAG"},
		{"an empty database", []string{"--database="}, "set the parameter scan to Off"},
		{"a policy instead of a database", []string{"--policy=" + filepath.Join(dir, "none.yaml")}, "DatabaseNotConfigured: "},
		{"it is off", []string{"--scan=Off"}, ""},
		{"it is off, and a database is named", []string{"--scan=Off", "--database=registry.example.com/db:1"}, ""},
		{"in small letters", []string{"--scan=off"}, `invalid argument "off" for "--scan" flag: accepted are On and Off`},
		{"a truth", []string{"--scan=true"}, "accepted are On and Off"},
		{"nothing at all", []string{"--scan="}, "accepted are On and Off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := step(t, append(tt.args, "--layout="+dir)...)
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if tt.want == "" && !strings.Contains(out, "vulnerabilities are not checked") {
				t.Errorf("it says %q", out)
			}
			if _, err := result.ReadReport(dir, "scan"); !errors.Is(err, result.ErrNoReport) {
				t.Errorf("a report is there: %v", err)
			}
		})
	}
}

// An exception holds for the image that is in the layout, and for no other.
func TestReferenceIsTheLayouts(t *testing.T) {
	dir, digest := fetched(t)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("exceptions: [{rules: [no-packages], images: ['registry.example.com/team/*'], reason: static, owner: us, expires: never}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(reference string) (result.Report, error) {
		t.Helper()
		_, err := step(t, "--layout="+dir, "--database=registry.example.com/db:1", "--policy="+policy, "--reference="+reference)
		if err != nil {
			return result.Report{}, err
		}
		r, err := result.ReadReport(dir, "scan")
		if err != nil {
			t.Fatal(err)
		}
		return r, nil
	}
	for reference, want := range map[string]result.Severity{
		"registry.example.com/team/app@" + digest.String():  result.SeverityWarning,
		"registry.example.com/other/app@" + digest.String(): result.SeverityError,
		"": result.SeverityError,
	} {
		got, err := run(reference)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]result.Severity{want}, []result.Severity{got.Findings[0].Severity}); diff != "" || len(got.Findings) != 1 {
			t.Errorf("%q (-want +got):\n%s%+v", reference, diff, got.Findings)
		}
	}
	for reference, want := range map[string]string{
		"registry.example.com/team/app@sha256:" + strings.Repeat("0", 64): "the layout holds " + digest.String(),
		"registry.example.com/team/app:1":                                 "names no digest",
	} {
		if _, err := run(reference); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", reference, err, want)
		}
	}
}
