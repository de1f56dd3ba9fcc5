//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

const databaseConfig = "revet-vulnerability-database"

// The command that users run fills the database by the job that is delivered, from the
// records of a ConfigMap; the namespace's runs are told of it, and who pulls it finds
// what is in it.
func TestDatabaseIsMirrored(t *testing.T) {
	w := newEnv(t, "e2e-database", stack.None)
	asOf := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	w.recordsVolume(t, asOf)
	// The registry keeps what earlier runs wrote.
	name := fmt.Sprintf("%s/records-%d:current", w.namespace, time.Now().Unix())
	plugin, err := cluster.BuildPlugin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill := exec.CommandContext(t.Context(), plugin, "fill-database", cluster.Info.RegistryInCluster+"/"+name, "--source=/source",
		"-n", w.namespace, "--once", "--timeout=3m")
	fill.Env = append(os.Environ(), "KUBECONFIG="+cluster.Info.Kubeconfig)
	printed, err := fill.CombinedOutput()
	t.Logf("fill-database printed: %s", printed)
	if err != nil {
		t.Fatal(err)
	}

	reference := cluster.Info.RegistryHost + "/" + name
	raw, err := cluster.Scan(t.Context(), scan, "database", "inspect", reference, "--verify", "--max-age=2h", "-o", "json")
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	var inspected struct {
		Digest string
		Config vulndb.Config
	}
	if err := json.Unmarshal([]byte(raw), &inspected); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if !inspected.Config.AsOf.Equal(asOf) || !strings.Contains(string(printed), "@"+inspected.Digest+": ") {
		t.Errorf("the database is %s of %s; want the one that was told, of %s", inspected.Digest, inspected.Config.AsOf, asOf)
	}
	if named := w.databaseConfig(t).Data["database"]; named != cluster.Info.RegistryInCluster+"/"+name {
		t.Errorf("runs are told of %q", named)
	}
	for _, s := range images.Vulnerable() {
		w.checkByHand(t, s, reference, inspected.Digest)
	}
}

// recordsVolume puts the records of the samples where the job reads them.
func (w *env) recordsVolume(t *testing.T, asOf time.Time) {
	t.Helper()
	records := map[string]string{"as-of": asOf.Format(time.RFC3339)}
	names, err := fs.Glob(images.Records(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(images.Records(), name)
		if err != nil {
			t.Fatal(err)
		}
		records[name] = string(raw)
	}
	if err := w.client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "revet-vulnerability-records"}, Data: records,
	}); err != nil {
		t.Fatal(err)
	}
}

func (w *env) databaseConfig(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	var config corev1.ConfigMap
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: databaseConfig}, &config); err != nil {
		t.Fatal(err)
	}
	return &config
}

// checkByHand holds that a database has what fails a sample, by the scanner on the host.
func (w *env) checkByHand(t *testing.T, s images.Sample, reference, digest string) {
	t.Helper()
	w.push(t, s.Name+":1", s)
	raw, err := cluster.Scan(t.Context(), scan, "check", fmt.Sprintf("%s/%s/%s:1", cluster.Info.RegistryHost, w.namespace, s.Name),
		"--database="+reference, "--signature=Off", "-o", "json")
	if err == nil {
		t.Errorf("%s: the exit status is 0", s.Name)
	}
	var checked struct {
		Verdict string
		Summary verdict.Summary
	}
	if err := json.Unmarshal([]byte(raw), &checked); err != nil {
		t.Fatalf("%s: %v: %s", s.Name, err, raw)
	}
	var rules []string
	for _, f := range checked.Summary.Findings {
		if f.Severity == "error" {
			rules = append(rules, f.Rule)
		}
	}
	slices.Sort(rules)
	if diff := cmp.Diff(s.Rules, slices.Compact(rules)); diff != "" || checked.Verdict != "fail" {
		t.Errorf("%s: verdict %s, rules (-want +got):\n%s", s.Name, checked.Verdict, diff)
	}
	if d := checked.Summary.Database; d == nil || d.Digest.String() != digest {
		t.Errorf("%s was compared with %+v, want %s", s.Name, d, digest)
	}
}

// mirror fills a database with the records of the samples and one of its own, as of
// now, and returns its name in the cluster.
func mirror(ctx context.Context, folder, repository string) (string, error) {
	source, err := os.MkdirTemp("", "revet-e2e-records-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(source)
	if err := os.CopyFS(source, images.Records()); err != nil {
		return "", err
	}
	now := time.Now().UTC().Truncate(time.Second)
	// The registry keeps one of what is the same: a record of its own keeps the files of
	// different databases apart.
	own := fmt.Sprintf(`{"schema_version":"1.6.0","id":"DEBIAN-CVE-%d-%s","modified":%q,"affected":[`+
		`{"package":{"ecosystem":"Debian:12","name":"none"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
		time.Now().UnixNano(), repository, now.Format(time.RFC3339))
	for file, text := range map[string]string{"own.json": own, "as-of": now.Format(time.RFC3339)} {
		if err := os.WriteFile(filepath.Join(source, file), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	name := fmt.Sprintf("%s/%s-%d:current", folder, repository, now.Unix())
	out, err := cluster.Scan(ctx, scan, "database", "mirror", "--from="+source, "--to="+cluster.Info.RegistryHost+"/"+name)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return cluster.Info.RegistryInCluster + "/" + name, nil
}

func (w *env) mirror(t *testing.T, repository string) string {
	t.Helper()
	name, err := mirror(t.Context(), w.namespace, repository)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// tamper changes a byte of a database's file where the registry keeps it.
func (w *env) tamper(t *testing.T, database string) {
	t.Helper()
	ref, err := vulndb.ParseReference(strings.Replace(database, cluster.Info.RegistryInCluster, cluster.Info.RegistryHost, 1))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{cluster.Info.RegistryHost})
	if err != nil {
		t.Fatal(err)
	}
	is, err := vulndb.Inspect(t.Context(), ref, fetch.Options{Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	if len(is.Config.Parts) == 0 {
		t.Fatal("the database has no part")
	}
	part := is.Config.Parts[0].Digest
	found, err := filepath.Glob(filepath.Join(cluster.Info.RegistryDir, "docker", "registry", "v2", "blobs", "sha256", "*", part.Hex(), "data"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the registry keeps the file in %v (%v)", found, err)
	}
	raw, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(found[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
