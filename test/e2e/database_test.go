//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// The job that is delivered fills the database from the records of a ConfigMap, and
// who pulls it finds what is in it.
func TestDatabaseIsMirrored(t *testing.T) {
	w := newWorld(t, "e2e-database", stack.None)
	modified := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	// The registry keeps what earlier runs wrote.
	repository := fmt.Sprintf("%s/records-%d", w.namespace, time.Now().Unix())
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: w.namespace, Name: name} }
	if err := w.client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: meta("revet-vulnerability-records"),
		Data: map[string]string{"GO-1.json": fmt.Sprintf(
			`{"id":"GO-1","modified":%q,"affected":[{"package":{"ecosystem":"Go","name":"example.com/a"}}]}`, modified.Format(time.RFC3339))},
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Update(t.Context(), &corev1.ConfigMap{
		ObjectMeta: meta("revet-vulnerability-database"),
		Data:       map[string]string{"source": "/source", "malware": "", "database": cluster.Info.RegistryInCluster + "/" + repository + ":current"},
	}); err != nil {
		t.Fatal(err)
	}
	if out, err := cluster.Kubectl(t.Context(), "create", "job", "first-mirror", "--namespace", w.namespace, "--from=cronjob/vulnerability-database"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pod := w.finished(t, "first-mirror")
	printed := w.logOf(t, pod.Name, "mirror")
	t.Logf("the job printed: %s", printed)

	is := w.inspect(t, cluster.Info.RegistryHost+"/"+repository+":current")
	if !strings.Contains(printed, "@"+is.Digest.String()+": schema ") || !is.Config.AsOf.Equal(modified) {
		t.Errorf("the database is %s of %s", is.Digest, is.Config.AsOf)
	}
	if diff := cmp.Diff([]vulndb.Ecosystem{{Name: "go-module", Records: 1}}, is.Config.Ecosystems); diff != "" {
		t.Errorf("what is in it (-want +got):\n%s", diff)
	}
}

// inspect reads what a database says of itself.
func (w *world) inspect(t *testing.T, database string) vulndb.Artifact {
	t.Helper()
	ref, err := vulndb.ParseReference(database)
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
	return is
}

// mirror fills a database with the records of the samples and one of its own, as of
// now, and returns its name in the cluster.
func (w *world) mirror(t *testing.T, repository string) string {
	t.Helper()
	source := t.TempDir()
	if err := os.CopyFS(source, images.Records()); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	// The registry keeps one of what is the same: a record of its own keeps the layers
	// of different databases apart.
	own := fmt.Sprintf(`{"id":"%s-%d","modified":%q,"affected":[{"package":{"ecosystem":"Debian:12","name":"none"}}]}`, repository, time.Now().UnixNano(), now.Format(time.RFC3339))
	if err := os.WriteFile(filepath.Join(source, "own.json"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "as-of"), []byte(now.Format(time.RFC3339)), 0o600); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s/%s-%d:current", w.namespace, repository, now.Unix())
	program, err := cluster.BuildScan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mirror := exec.CommandContext(t.Context(), program, "database", "mirror", "--from="+source, "--to="+cluster.Info.RegistryHost+"/"+name,
		"--insecure-registry="+cluster.Info.RegistryHost, "--dir="+t.TempDir())
	if out, err := mirror.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return cluster.Info.RegistryInCluster + "/" + name
}

// tamper changes a byte of the database's file where the registry keeps it.
func (w *world) tamper(t *testing.T, database string) {
	t.Helper()
	is := w.inspect(t, strings.Replace(database, cluster.Info.RegistryInCluster, cluster.Info.RegistryHost, 1))
	part := is.Config.Parts[0].Digest
	found, err := filepath.Glob(filepath.Join(cluster.Info.RegistryDir, "docker", "registry", "v2", "blobs", "sha256", "*", part.Hex(), "data"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the registry keeps the records in %v (%v)", found, err)
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

// finished waits until a job succeeded, and returns its Pod.
func (w *world) finished(t *testing.T, name string) corev1.Pod {
	t.Helper()
	var last string
	await(t, time.Minute, func() string { return "job " + name + ": " + last }, func(ctx context.Context) (bool, error) {
		job, err := w.clientset.BatchV1().Jobs(w.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		last = fmt.Sprintf("%+v", job.Status)
		return job.Status.Succeeded > 0, nil
	})
	var pods corev1.PodList
	if err := w.client.List(t.Context(), &pods, client.InNamespace(w.namespace), client.MatchingLabels{"job-name": name}); err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if pod.Status.Phase == corev1.PodSucceeded {
			return pod
		}
	}
	t.Fatalf("none of %d Pods of the job %s succeeded", len(pods.Items), name)
	return corev1.Pod{}
}
