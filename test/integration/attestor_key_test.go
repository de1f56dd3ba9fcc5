package integration

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const keysSecret = "revet-attestation-keys"

// No account of Revet may read the Secret with the keys, make a Pod that mounts it, or get the
// token of another account; that includes the attestor's own.
func TestNoAccountReadsTheKeys(t *testing.T) {
	var accounts corev1.ServiceAccountList
	if err := admin(t).List(t.Context(), &accounts, client.InNamespace(systemNamespace)); err != nil {
		t.Fatal(err)
	}
	if len(accounts.Items) < 3 {
		t.Fatalf("%s has %d accounts", systemNamespace, len(accounts.Items))
	}
	asked := 0
	for _, account := range accounts.Items {
		for _, what := range []authorizationv1.ResourceAttributes{
			{Verb: "get", Resource: "secrets", Name: keysSecret},
			{Verb: "list", Resource: "secrets"}, {Verb: "watch", Resource: "secrets"},
			{Verb: "list", Resource: "secrets", Name: keysSecret}, {Verb: "watch", Resource: "secrets", Name: keysSecret},
			{Verb: "update", Resource: "secrets", Name: keysSecret}, {Verb: "patch", Resource: "secrets", Name: keysSecret},
			{Verb: "create", Resource: "pods"}, {Verb: "create", Resource: "pods", Subresource: "exec"},
			{Verb: "update", Resource: "pods", Subresource: "ephemeralcontainers"},
			{Verb: "create", Group: "apps", Resource: "deployments"}, {Verb: "update", Group: "apps", Resource: "deployments"},
			{Verb: "patch", Group: "apps", Resource: "deployments"}, {Verb: "create", Group: "batch", Resource: "jobs"},
			{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: "attestor"},
			{Verb: "impersonate", Resource: "serviceaccounts", Name: "attestor"},
		} {
			what.Namespace = systemNamespace
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User:   "system:serviceaccount:" + systemNamespace + ":" + account.Name,
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"}, ResourceAttributes: &what,
			}}
			if err := admin(t).Create(t.Context(), review); err != nil {
				t.Fatal(err)
			}
			if asked++; review.Status.Allowed {
				t.Errorf("the account %s may %s %s/%s %s: %s", account.Name, what.Verb, what.Resource, what.Subresource, what.Name, review.Status.Reason)
			}
		}
	}
	t.Logf("%d questions about %d accounts", asked, len(accounts.Items))
}

// Of all Pods in config/, the attestor's alone has the keys, as a volume: no environment has them.
func TestOnlyTheAttestorMountsTheKeys(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repository, "config", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no config: %v", err)
	}
	pods, mounting := 0, []string{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for documents := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
			var o unstructured.Unstructured
			if err := documents.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(raw), `"containers"`) {
				continue
			}
			pods++
			if strings.Contains(string(raw), keysSecret) {
				mounting = append(mounting, o.GetKind()+" "+o.GetName())
			}
			if o.GetName() == "attestor" && strings.Contains(string(raw), "secretKeyRef") {
				t.Error("the attestor has a Secret in its environment")
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if pods < 3 || len(mounting) != 1 || mounting[0] != "Deployment attestor" {
		t.Errorf("of %d workloads, %q name the Secret", pods, mounting)
	}
}

// shown returns what of a private key stands in a text, or "": a part of its bytes, its numbers or
// its file, raw, in hexadecimal or in base64.
func shown(text string, file []byte, secret []byte) string {
	const window = 6 // bytes: no chance finds so many
	forms := map[string]bool{}
	for i := 0; i+window <= len(secret); i++ {
		part := secret[i : i+window]
		forms[string(part)] = true
		forms[hex.EncodeToString(part)] = true
		forms[strings.ToUpper(hex.EncodeToString(part))] = true
		forms[base64.StdEncoding.EncodeToString(part)] = true
		forms[base64.RawURLEncoding.EncodeToString(part)] = true
	}
	body := strings.Map(func(r rune) rune {
		if r == '\n' {
			return -1
		}
		return r
	}, string(file))
	// The head of every key of a kind is the same, and no secret.
	for i := len(body) / 3; i+12 <= len(body)-len("-----END PRIVATE KEY-----"); i++ {
		forms[body[i:i+12]] = true
	}
	for form := range forms {
		if strings.Contains(text, form) {
			return form
		}
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return "a PEM header"
	}
	return ""
}

// secretFile is a file with a private key, and the bytes that are secret.
type secretFile struct {
	name          string
	file, private []byte
}

func secretFiles(t *testing.T) (good, ed, sec1, cut secretFile) {
	t.Helper()
	encode := func(kind string, key any, marshal func() ([]byte, error)) []byte {
		der, err := marshal()
		if err != nil {
			t.Fatalf("%T: %v", key, err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	ecKey := func() (*ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return key, d
	}
	pkcs8 := func(key any) func() ([]byte, error) {
		return func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) }
	}
	first, d := ecKey()
	good = secretFile{keyFile, encode("PRIVATE KEY", first, pkcs8(first)), d}
	_, seed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed = secretFile{"2026-02-01.pem", encode("PRIVATE KEY", seed, pkcs8(seed)), seed.Seed()}
	second, d := ecKey()
	sec1 = secretFile{"2026-03-01.pem", encode("EC PRIVATE KEY", second, func() ([]byte, error) { return x509.MarshalECPrivateKey(second) }), d}
	third, d := ecKey()
	whole := encode("PRIVATE KEY", third, pkcs8(third))
	cut = secretFile{"2026-04-01.pem", append(append([]byte{}, whole[:len(whole)/2]...), []byte("\n-----END PRIVATE KEY-----\n")...), d}
	return good, ed, sec1, cut
}

// Property: whatever the Secret holds, no line of the attestor's log, no Event, no status, no answer
// of its probes and no metric shows any part of a private key.
func TestNothingShowsAPrivateKey(t *testing.T) {
	ownCluster(t)
	dir := buildPrograms(t, "attestor")
	good, ed, sec1, cut := secretFiles(t)
	all := []secretFile{good, ed, sec1, cut}
	for _, test := range []struct {
		name   string
		files  []secretFile
		signs  bool
		logged string
	}{
		{"good keys", []secretFile{good, ed}, true, "keys in force"},
		{"one in another encoding beside a good one", []secretFile{good, sec1}, false, "PKCS#8"},
		{"half of one beside a good one", []secretFile{good, cut}, false, "the keys in"},
		{"one under a wrong name", []secretFile{{"tls.key", good.file, good.private}}, false, "tls.key"},
		{"none", nil, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAttested(t)
			if err := os.Remove(filepath.Join(a.keys, keyFile)); err != nil {
				t.Fatal(err)
			}
			for _, f := range test.files {
				if err := os.WriteFile(filepath.Join(a.keys, f.name), f.file, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			health, metrics := freeAddress(t), freeAddress(t)
			program := newProgram(t, dir, "attestor", "--health-address", health, "--metrics-address", metrics,
				"--identity", "attestor", "--keys", a.keys, "--cluster", "test", "--log-level", "debug")
			running := program.start(t, "")
			if test.signs {
				a.settled(1)
				a.conclude(a.entry, v1alpha1.OutcomeFail, metav1.Now().Rfc3339Copy())
				a.settled(0)
			}
			texts := map[string]string{}
			within(t, time.Minute, "it tells of its keys", func() error {
				texts["log"] = string(readFile(t, running.log))
				for path, at := range map[string]string{"/readyz": health, "/healthz": health, "/metrics": metrics} {
					body, err := answer(at + path)
					if err != nil {
						return err
					}
					texts[path] = body
				}
				if !strings.Contains(texts["log"], test.logged) || !strings.Contains(texts["log"], "caches") && test.signs {
					return errors.New("the log does not")
				}
				if !strings.Contains(texts["/metrics"], "revet_attestations") {
					return errors.New("there are no metrics")
				}
				return nil
			})
			var events corev1.EventList
			if err := a.admin.List(t.Context(), &events); err != nil {
				t.Fatal(err)
			}
			var entry v1alpha1.ImageVerification
			if err := a.admin.Get(t.Context(), client.ObjectKeyFromObject(a.entry), &entry); err != nil {
				t.Fatal(err)
			}
			texts["Events"], texts["the entry"] = fmt.Sprintf("%+v", events.Items), fmt.Sprintf("%+v", entry)
			for where, text := range texts {
				for _, f := range all {
					if part := shown(text, f.file, f.private); part != "" {
						t.Errorf("%s shows %q of the key %s", where, part, f.name)
					}
				}
			}
			running.stop()
		})
	}
	for _, f := range all {
		if shown("x "+string(f.file), f.file, f.private) == "" || shown(hex.EncodeToString(f.private), f.file, f.private) == "" {
			t.Error("what shows a key is not noticed")
		}
	}
}

func answer(url string) (string, error) {
	resp, err := http.Get("http://" + url) //nolint:noctx // a probe of a process of this test
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
