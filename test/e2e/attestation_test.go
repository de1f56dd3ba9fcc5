//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// attestTimeout is ample from a verdict to its statement, for which a registry is written once.
const attestTimeout = time.Minute

// attestedNamespace is where verdicts are signed.
const attestedNamespace = "e2e-attested"

// A pass of a trigger that asks for it is signed, so that a consumer who has the public key and
// nothing of the cluster can verify it; a fail is not. Doctor finds that all is well.
func TestVerdictsAreSigned(t *testing.T) {
	w := newEnv(t, attestedNamespace, stack.Direct)
	public := operatorSigns(t, w.namespace)
	trigger := fmt.Sprintf(`apiVersion: revet.dev/v1alpha1
kind: ImageTrigger
metadata:
  name: everything
  namespace: %s
spec:
  images:
  - imageStreams: {names: ["*"]}
  sink: {ref: {name: scan-and-validate}}
  sandbox: {runtimeClassName: kata}
  attest: {maxAge: 24h}
`, w.namespace)
	if err := cluster.Apply(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	if err := cluster.WaitSource(t.Context(), w.namespace); err != nil {
		t.Fatal(err)
	}
	w.awaitSwept(t, "everything")
	// As a consumer elsewhere: by the name under which the cluster pulls, which this machine
	// does not resolve.
	t.Setenv("HTTP_PROXY", registryProxy(t))
	binary, err := cluster.BuildPlugin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revet := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
		return string(out), err
	}
	verify := func(repository, digest string) (string, error) {
		return revet("attestation", "verify", fmt.Sprintf("%s/%s/%s@%s", cluster.Info.RegistryInCluster, w.namespace, repository, digest),
			"--key", public, "--max-age", "1h", "--level", "REVET_SANDBOXED", "--insecure-registry", cluster.Info.RegistryInCluster)
	}

	good, bad := w.push(t, "good:1", images.Good()), w.push(t, "bad:1", images.Bad())
	for digest, want := range map[string]v1alpha1.Phase{good: v1alpha1.PhasePassed, bad: v1alpha1.PhaseFailed} {
		if entry := w.verdict(t, digest); entry.Status.Phase != want {
			t.Fatalf("%s is %s: %s", digest, entry.Status.Phase, entry.Status.Message)
		}
	}
	entry := w.awaitAttested(t, good)
	out, err := verify("good", good)
	if err != nil {
		t.Fatalf("the image that passed: %v\n%s", err, out)
	}
	t.Logf("kubectl revet attestation verify printed:\n%s", out)
	var exit *exec.ExitError
	if out, err := verify("bad", bad); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("of the image that failed: %v, want exit status 1\n%s", err, out)
	}
	if failed := w.verdict(t, bad); len(failed.Status.Attestations) != 0 {
		t.Errorf("of the image that failed there is %+v", failed.Status.Attestations)
	}

	for _, shown := range []struct {
		args []string
		want []string
	}{
		{[]string{"get", entry.Name, "-n", w.namespace}, []string{"ATTESTED", "Published "}},
		{[]string{"explain", entry.Name, "-n", w.namespace}, []string{"Signed verdicts", "Published    " + entry.Status.Attestations[0].Bundle, entry.Status.Attestations[0].Key}},
		{[]string{"doctor", "-n", w.namespace}, []string{"ok       attestor leader", entry.Status.Attestations[0].Key + " signs", "0 unknown, 0 problems"}},
	} {
		out, err := revet(append(shown.args, "--kubeconfig", cluster.Info.Kubeconfig)...)
		if err != nil {
			t.Errorf("kubectl revet %s: %v\n%s", shown.args[0], err, out)
		}
		for _, want := range shown.want {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl revet %s does not show %q:\n%s", shown.args[0], want, out)
			}
		}
	}
}

// operatorSigns makes a key and lists the namespace's trigger, as docs/attestations.md says. It
// returns the file with the public key.
func operatorSigns(t *testing.T, namespace string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, public := filepath.Join(dir, time.Now().UTC().Format("2006-01-02")+".pem"), filepath.Join(dir, "revet.pub")
	for file, block := range map[string]*pem.Block{private: {Type: "PRIVATE KEY", Bytes: der}, public: {Type: "PUBLIC KEY", Bytes: spki}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := cluster.Kubectl(t.Context(), "create", "secret", "generic", "revet-attestation-keys", "-n", stack.System,
		"--from-file="+private, "--dry-run=client", "-o", "yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Apply(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprintf(`{"data":{"triggers.yaml":"- {namespace: %s, trigger: everything}"}}`, namespace)
	for _, args := range [][]string{
		{"patch", "configmap", "config-attestation", "-n", stack.System, "--type=merge", "--patch", list},
		// A Pod that runs gets a new key within a minute or two, and a new one at once.
		{"rollout", "restart", "-n", stack.System, "deployment/attestor"},
		{"rollout", "status", "-n", stack.System, "deployment/attestor", "--timeout=120s"},
	} {
		if _, err := cluster.Kubectl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	return public
}

// awaitAttested waits until the verdict on a digest is attached to it.
func (w *env) awaitAttested(t *testing.T, digest string) *v1alpha1.ImageVerification {
	t.Helper()
	entry := w.verdict(t, digest)
	await(t, attestTimeout, func() string {
		return fmt.Sprintf("the signed verdict of %s; it has %+v", digest, entry.Status.Attestations)
	}, func(ctx context.Context) (bool, error) {
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(entry), entry); err != nil {
			return false, err
		}
		all := entry.Status.Attestations
		return len(all) == 1 && all[0].State == v1alpha1.AttestationPublished, nil
	})
	t.Logf("signed %s after the verdict", entry.Status.Attestations[0].At.Sub(entry.Status.Verdict.At.Time))
	return entry
}

// registryProxy is an HTTP proxy by which this machine reaches the registry under the name that
// it has inside the cluster.
func registryProxy(t *testing.T) string {
	t.Helper()
	registry := &url.URL{Scheme: "http", Host: cluster.Info.RegistryHost}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(registry) }})
	t.Cleanup(proxy.Close)
	return proxy.URL
}
