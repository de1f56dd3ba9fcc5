package attestation

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

var (
	verdictAt = time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	now       = verdictAt.Add(24 * time.Hour)
	by        = Verifier{ID: DefaultVerifierID, Version: "v1.2.3", Cluster: "prod-1"}
)

func digestOf(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }

// passedEntry is of an index with three images, of which the run looked at two.
func passedEntry() *v1alpha1.ImageVerification {
	asOf := metav1.NewTime(verdictAt.Add(-3 * time.Hour))
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "verification", Name: "app-1"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "all", UID: "uid-1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "registry.example.com/team/app", Pull: "registry.example.com/team/app"},
			Digest:     digestOf("a"),
		},
		Status: v1alpha1.ImageVerificationStatus{
			Image: &v1alpha1.ImageFacts{Children: []v1alpha1.ChildImage{
				{Digest: digestOf("b"), Platform: "linux/amd64"},
				{Digest: digestOf("c"), Platform: "linux/arm64/v8"},
				{Digest: digestOf("d"), Platform: "windows/amd64"},
			}},
			Runs: []v1alpha1.RunStatus{
				{Name: "run-0", Report: "registry.example.com/team/app@" + digestOf("0")},
				{Name: "run-1", Report: "registry.example.com/team/app@" + digestOf("e")},
			},
			Verdict: &v1alpha1.Verdict{
				Outcome: v1alpha1.OutcomePass, Run: "run-1", Number: 1, At: metav1.NewTime(verdictAt),
				PolicyDigest: digestOf("f"),
				Database:     &v1alpha1.VerdictDatabase{Digest: digestOf("1"), AsOf: &asOf},
				Checks:       []string{"validate", "vulnerabilities"}, Off: []string{"signature"},
				Platforms: []string{"linux/amd64", "linux/arm64"}, Unselected: 1,
				Inventory: &v1alpha1.VerdictInventory{Digest: digestOf("2"), Reference: "registry.example.com/team/app@" + digestOf("3")},
				Sandbox:   v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}},
			},
		},
	}
}

func asked(maxAge time.Duration) *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "verification", Name: "all", UID: "uid-1"},
		Spec:       v1alpha1.ImageTriggerSpec{Attest: &v1alpha1.Attest{MaxAge: metav1.Duration{Duration: maxAge}}},
	}
}

func pemOf(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newECDSA(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, key)
}

func newEd25519(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, key)
}

func ringOf(t testing.TB, files map[string][]byte) Ring {
	t.Helper()
	r, err := ParseRing(files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func currentOf(t testing.TB, r Ring) PrivateKey {
	t.Helper()
	k, ok := r.Current(now)
	if !ok {
		t.Fatal("no key signs")
	}
	return k
}

func reference(t testing.TB, digest string) image.Reference {
	t.Helper()
	ref, err := image.ParseReference("registry.example.com/team/app@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
