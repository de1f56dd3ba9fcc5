package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// keyFile is the attestor's key.
const keyFile = "2026-01-01.pem"

// attested is an image of a trigger that asks for attestations, in the cluster's registry.
type attested struct {
	*gateSetup
	host  string
	entry *v1alpha1.ImageVerification
	// keys is the directory with the attestor's.
	keys string
}

func newAttested(t *testing.T) *attested {
	t.Helper()
	a := newAttestedSetup(t, clusterOf(t).Registry().Addr())
	a.entry = a.pushed("app")
	a.conclude(a.entry, v1alpha1.OutcomePass, metav1.NewTime(time.Now().Add(-time.Minute).Truncate(time.Second)))
	return a
}

// newAttestedSetup has no image yet. Images are in the registry of a host.
func newAttestedSetup(t *testing.T, host string) *attested {
	t.Helper()
	a := &attested{gateSetup: newGateSetup(t), host: host, keys: t.TempDir()}
	a.trigger.Spec.Attest = &v1alpha1.Attest{MaxAge: metav1.Duration{Duration: 24 * time.Hour}}
	if err := a.admin.Update(t.Context(), a.trigger); err != nil {
		t.Fatal(err)
	}
	a.operator(config.RegistriesConfigMap, config.RegistriesKey,
		fmt.Sprintf("- {name: local, host: %q, insecure: true, namespaces: [%q]}", host, a.ledger))
	a.operator(config.AttestationConfigMap, config.AttestedKey, fmt.Sprintf("- {namespace: %q, trigger: vet}", a.ledger))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.keys, keyFile)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// operator writes what the operator configures, until the test ends.
func (a *attested) operator(object, key, document string) {
	a.t.Helper()
	write := func(document string) {
		var m corev1.ConfigMap
		if err := a.admin.Get(a.t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: object}, &m); err != nil {
			a.t.Fatal(err)
		}
		m.Data = map[string]string{key: document}
		if err := a.admin.Update(a.t.Context(), &m); err != nil {
			a.t.Fatal(err)
		}
	}
	write(document)
	a.t.Cleanup(func() {
		var m corev1.ConfigMap
		if err := a.admin.Get(context.WithoutCancel(a.t.Context()), client.ObjectKey{Namespace: systemNamespace, Name: object}, &m); err != nil {
			a.t.Error(err)
		}
		m.Data = map[string]string{key: "[]"}
		if err := a.admin.Update(context.WithoutCancel(a.t.Context()), &m); err != nil {
			a.t.Error(err)
		}
	})
}

// pushed pushes an image and records it, without a verdict.
func (a *attested) pushed(image string) *v1alpha1.ImageVerification {
	a.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		a.t.Fatal(err)
	}
	where := a.host + "/" + a.ledger + "/" + image
	tag, err := name.NewTag(where+":1", name.Insecure)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		a.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		a.t.Fatal(err)
	}
	at := metav1.NewTime(time.Now().Add(-time.Minute).Truncate(time.Second))
	entry := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.ledger, Name: image, Labels: map[string]string{v1alpha1.TriggerUIDLabel: string(a.trigger.UID)}},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: a.trigger.Name, UID: string(a.trigger.UID)},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: where, Pull: where},
			Digest:     digest.String(), FirstPush: v1alpha1.PushRecord{Tag: "1", PushedAt: at, ObservedAt: metav1.NewMicroTime(at.Time), Source: v1alpha1.SourceEvent},
		},
	}
	if err := a.writer.Create(a.t.Context(), entry); err != nil {
		a.t.Fatal(err)
	}
	return entry
}

// program is the attestor, under its own account.
func (a *attested) program(dir string) program {
	return newProgram(a.t, dir, "attestor", "--health-address", "127.0.0.1:0", "--identity", "attestor", "--keys", a.keys, "--cluster", "test")
}

// recorded are the entry's attestations.
func (a *attested) recorded() []v1alpha1.AttestationStatus {
	a.t.Helper()
	return a.recordedOf(a.entry)
}

func (a *attested) recordedOf(entry *v1alpha1.ImageVerification) []v1alpha1.AttestationStatus {
	a.t.Helper()
	var e v1alpha1.ImageVerification
	if err := a.admin.Get(a.t.Context(), client.ObjectKeyFromObject(entry), &e); err != nil {
		a.t.Fatal(err)
	}
	return e.Status.Attestations
}

// listed counts the bundles that a stock client finds beside the image.
func (a *attested) listed() (int, error) {
	ref, err := name.NewDigest(a.entry.Spec.Repository.Pull+"@"+a.entry.Spec.Digest, name.Insecure)
	if err != nil {
		return 0, err
	}
	index, err := remote.Referrers(ref)
	if err != nil {
		return 0, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, d := range list.Manifests {
		img, err := remote.Image(ref.Context().Digest(d.Digest.String()))
		if err != nil {
			return 0, fmt.Errorf("the list names %s: %w", d.Digest, err)
		}
		m, err := img.Manifest()
		if err != nil {
			return 0, err
		}
		if string(m.Layers[0].MediaType) == sigstore.BundleType {
			n++
		}
	}
	return n, nil
}

// settled waits until the entry has as many attestations as there are in the registry, all of
// them published.
func (a *attested) settled(n int) {
	a.t.Helper()
	within(a.t, time.Minute, fmt.Sprintf("%d attestations", n), func() error {
		all := a.recorded()
		if len(all) != n {
			return fmt.Errorf("recorded are %+v", all)
		}
		for _, r := range all {
			if r.State != v1alpha1.AttestationPublished {
				return fmt.Errorf("one is %s: %s", r.State, r.Message)
			}
		}
		listed, err := a.listed()
		if err == nil && listed != n {
			err = fmt.Errorf("%d are listed", listed)
		}
		return err
	})
}

// Property: kill -9 of the attestor at every step, after which it is started again, gives one
// attestation of the newest pass, and none after a fail. It is a process under its own account,
// against a registry that knows no referrers.
func TestKillOfTheAttestorGivesOneAttestation(t *testing.T) {
	ownCluster(t)
	dir := buildPrograms(t, "attestor")
	for _, failpoint := range []string{"attestation.recorded", "publish.stored", "publish.listed", "attestation.attached", "attestation.sent"} {
		t.Run("publishing, at "+failpoint, func(t *testing.T) {
			a := newAttested(t)
			program := a.program(dir)
			program.start(t, failpoint).killed(func() {})
			if got := a.recorded(); len(got) != 1 || got[0].State != v1alpha1.AttestationPending {
				t.Errorf("when it is killed, recorded is %+v", got)
			}
			before := a.recorded()[0].Bundle
			running := program.start(t, "")
			a.settled(1)
			if got := a.recorded()[0].Bundle; got != before {
				t.Errorf("the bundle is %s, and was %s", got, before)
			}
			a.conclude(a.entry, v1alpha1.OutcomePass, metav1.Now().Rfc3339Copy())
			eventually(t, "the newer verdict is attested", func() error {
				if got := a.recorded(); len(got) != 1 || got[0].Run != "app-2" {
					return fmt.Errorf("recorded is %+v", got)
				}
				return nil
			})
			a.settled(1)
			a.conclude(a.entry, v1alpha1.OutcomeFail, metav1.Now().Rfc3339Copy())
			a.settled(0)
			running.stop()
		})
	}
	for _, failpoint := range []string{"publish.unlisted", "attestation.detached", "attestation.removed"} {
		t.Run("removing, at "+failpoint, func(t *testing.T) {
			a := newAttested(t)
			program := a.program(dir)
			first := program.start(t, "")
			a.settled(1)
			first.stop()
			a.conclude(a.entry, v1alpha1.OutcomeFail, metav1.Now().Rfc3339Copy())
			program.start(t, failpoint).killed(func() {})
			if got := a.recorded(); len(got) != 1 {
				t.Errorf("when it is killed, recorded is %+v", got)
			}
			program.start(t, "")
			a.settled(0)
		})
	}
}

// The attestor's account may write attestations and nothing else of the ledger, and reads no
// Secret; no other account of people may write them.
func TestTheAttestorsAccountWritesAttestationsOnly(t *testing.T) {
	a := newAttested(t)
	attestor := clientOf(t, account(t, systemNamespace, "attestor"))
	change := func(c client.Client, mutate func(*v1alpha1.ImageVerification)) error {
		var e v1alpha1.ImageVerification
		if err := a.admin.Get(t.Context(), client.ObjectKeyFromObject(a.entry), &e); err != nil {
			t.Fatal(err)
		}
		mutate(&e)
		return c.Status().Update(t.Context(), &e, client.DryRunAll)
	}
	attest := func(e *v1alpha1.ImageVerification) {
		e.Status.Attestations = []v1alpha1.AttestationStatus{{
			Bundle: digestOf("b"), Key: "k", Run: "app-1", VerifiedAt: metav1.Now(), State: v1alpha1.AttestationPending, At: metav1.Now(),
		}}
	}
	eventually(t, "the attestor may write attestations", func() error { return change(attestor, attest) })
	for name, mutate := range map[string]func(*v1alpha1.ImageVerification){
		"a verdict":         func(e *v1alpha1.ImageVerification) { e.Status.Verdict.Outcome = v1alpha1.OutcomeFail },
		"a part of one":     func(e *v1alpha1.ImageVerification) { e.Status.Verdict.Checks = []string{"x"} },
		"no verdict":        func(e *v1alpha1.ImageVerification) { e.Status.Verdict = nil },
		"a phase":           func(e *v1alpha1.ImageVerification) { e.Status.Phase = v1alpha1.PhaseError },
		"facts of an image": func(e *v1alpha1.ImageVerification) { e.Status.Image = &v1alpha1.ImageFacts{Size: 1} },
		"runs":              func(e *v1alpha1.ImageVerification) { e.Status.Runs = nil },
		"both":              func(e *v1alpha1.ImageVerification) { attest(e); e.Status.Phase = v1alpha1.PhaseError },
	} {
		if err := change(attestor, mutate); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "revet-ledger") {
			t.Errorf("%s: %v, want a refusal by the policy", name, err)
		}
	}
	var e v1alpha1.ImageVerification
	if err := a.admin.Get(t.Context(), client.ObjectKeyFromObject(a.entry), &e); err != nil {
		t.Fatal(err)
	}
	e.Spec.Requests = []string{"x"}
	if err := attestor.Update(t.Context(), &e, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("a request: %v", err)
	}
	for who, c := range map[string]client.Client{
		"attestor": attestor, "controller": a.writer, "receiver": clientOf(t, account(t, systemNamespace, "receiver")),
	} {
		var secret corev1.Secret
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "revet-attestation-keys"}, &secret); !apierrors.IsForbidden(err) {
			t.Errorf("the %s reads the keys: %v", who, err)
		}
		if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(systemNamespace)); !apierrors.IsForbidden(err) {
			t.Errorf("the %s lists Secrets: %v", who, err)
		}
	}
	editor := userWith(t, a.ledger, "attest-editor", "edit", "revet-edit", "revet-replay")
	eventually(t, "the roles are in force", func() error {
		return editor.Get(t.Context(), client.ObjectKeyFromObject(a.entry), &v1alpha1.ImageVerification{})
	})
	if err := change(editor, attest); !apierrors.IsForbidden(err) {
		t.Errorf("who edits the namespace writes attestations: %v", errors.Join(err))
	}
}
