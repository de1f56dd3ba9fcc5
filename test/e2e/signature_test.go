//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// Who signed an image is part of its verdict: a trusted key's signature holds,
// and a stranger's fails it.
func TestSignaturesAreVerified(t *testing.T) {
	w := newEnv(t, "e2e-signature", stack.Direct)
	trusted, stranger := newKey(t), newKey(t)
	der, err := x509.MarshalPKIXPublicKey(&trusted.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "revet-signature-keys"},
		Data:       map[string]string{"team.pub": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	}); err != nil {
		t.Fatal(err)
	}
	w.ready(t, stack.Direct)
	for _, test := range []struct {
		name, repository string
		key              *ecdsa.PrivateKey
		phase            v1alpha1.Phase
		summary          string
	}{
		{"nobody signed", "unsigned", nil, v1alpha1.PhasePassed, `"signature":"none"`},
		{"a trusted key signed", "signed", trusted, v1alpha1.PhasePassed, `"signature":"valid"`},
		{"a stranger signed", "forged", stranger, v1alpha1.PhaseFailed, `"signature":"invalid"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := images.Options{Now: time.Now(), Salt: w.namespace + test.repository}
			digest, err := images.Digest(images.Good(), options)
			if err != nil {
				t.Fatal(err)
			}
			tag := fmt.Sprintf("%s/%s/%s:1", cluster.Info.RegistryHost, w.namespace, test.repository)
			if test.key != nil {
				// Before the image, so that its run finds it.
				sign(t, test.key, tag, digest.String())
			}
			if _, err := images.Push(t.Context(), tag, images.Good(), options); err != nil {
				t.Fatal(err)
			}
			entry := w.verdict(t, digest.String())
			if entry.Status.Phase != test.phase {
				t.Errorf("phase = %s (%s: %s), want %s", entry.Status.Phase, entry.Status.Reason, entry.Status.Message, test.phase)
			}
			if summary := entry.Status.Runs[0].Summary; !strings.Contains(summary, test.summary) {
				t.Errorf("summary is %s, want %s in it", summary, test.summary)
			}
		})
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign pushes what cosign pushes in its older form.
func sign(t *testing.T, key *ecdsa.PrivateKey, tag, digest string) {
	t.Helper()
	payload := []byte(`{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"` + digest + `"},"type":"cosign container image signature"},"optional":null}`)
	sum := sha256.Sum256(payload)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer(payload, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	at := ref.Context().Tag("sha256-" + strings.TrimPrefix(digest, "sha256:") + ".sig")
	if err := remote.Write(at, mutate.ConfigMediaType(img, types.OCIConfigJSON)); err != nil {
		t.Fatal(err)
	}
}
