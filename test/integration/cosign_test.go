//go:build interop

package integration

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/test/cluster/registry"
)

// signers make a key of each kind that the attestor takes.
var signers = map[string]func() (private, public any, err error){
	"ECDSA P-256": func() (any, any, error) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		return k, &k.PublicKey, nil
	},
	"Ed25519": func() (any, any, error) {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		return private, public, err
	},
}

// newSigner returns the files with a private key, named as the attestor's are, and its public half.
func newSigner(t *testing.T, kind string) (private, public string) {
	t.Helper()
	k, p, err := signers[kind]()
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, der []byte, err error) string {
		if err == nil {
			err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	private = write(filepath.Join(t.TempDir(), "2026-01-01.pem"), "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(p)
	return private, write(filepath.Join(t.TempDir(), "revet.pub"), "PUBLIC KEY", der, err)
}

// newReferrers starts a registry with the referrers API, which Distribution has not.
func newReferrers(t *testing.T) (host string) {
	t.Helper()
	quiet := ggcr.Logger(log.New(io.Discard, "", 0))
	server := httptest.NewServer(ggcr.New(ggcr.WithReferrersSupport(true), quiet))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// stores are the registries by kind: their addresses.
func stores(t *testing.T) map[string]string {
	t.Helper()
	without, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := without.Stop(); err != nil {
			t.Error(err)
		}
	})
	return map[string]string{
		"with referrers":        newReferrers(t),
		"without referrers":     without.Addr(),
		"OpenShift's, emulated": clusterOf(t).Registry().Addr(),
	}
}

// index is one of three images, of which a run looked at two.
type index struct {
	entry    *v1alpha1.ImageVerification
	children []string
}

func (i index) root() string { return i.at(i.entry.Spec.Digest) }

func (i index) at(digest string) string { return i.entry.Spec.Repository.Pull + "@" + digest }

// looked at were the first two.
var platforms = []v1.Platform{
	{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}, {OS: "windows", Architecture: "amd64"},
}

// index pushes one, and records that it passed at a time.
func (a *attested) index(host, repository string, at time.Time) index {
	a.t.Helper()
	where := host + "/" + a.ledger + "/" + repository
	root := mutate.IndexMediaType(empty.Index, "application/vnd.oci.image.index.v1+json")
	i := index{}
	facts := &v1alpha1.ImageFacts{}
	for n, platform := range platforms {
		img, digest := pushTo(a.t, fmt.Sprintf("%s:part-%d", where, n))
		root = mutate.AppendManifests(root, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &platform},
		})
		i.children = append(i.children, digest)
		facts.Children = append(facts.Children, v1alpha1.ChildImage{
			Digest: digest, Platform: platform.OS + "/" + platform.Architecture,
		})
	}
	tag, err := name.NewTag(where+":1", name.Insecure)
	if err == nil {
		err = remote.WriteIndex(tag, root, remote.WithContext(a.t.Context()))
	}
	if err != nil {
		a.t.Fatalf("pushing %s: %v", where, err)
	}
	digest, err := root.Digest()
	if err != nil {
		a.t.Fatal(err)
	}
	i.entry = a.record(where, digest.String(), facts, metav1.NewTime(at.Truncate(time.Second)))
	return i
}

// pushTo pushes an image to a registry, and returns it with its digest.
func pushTo(t *testing.T, reference string) (v1.Image, string) {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference, name.Insecure)
	if err == nil {
		err = remote.Write(tag, img, remote.WithContext(t.Context()))
	}
	if err != nil {
		t.Fatalf("pushing %s: %v", reference, err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return img, digest.String()
}

// record makes an entry that passed.
func (a *attested) record(
	where, digest string, facts *v1alpha1.ImageFacts, at metav1.Time,
) *v1alpha1.ImageVerification {
	a.t.Helper()
	uid := string(a.trigger.UID)
	e := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.ledger, GenerateName: "app-",
			Labels: map[string]string{v1alpha1.TriggerUIDLabel: uid},
		},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: a.trigger.Name, UID: uid},
			Repository: v1alpha1.RepositoryReference{
				Kind: v1alpha1.RepositoryRegistry, Name: where, Pull: where,
			},
			Digest: digest,
			FirstPush: v1alpha1.PushRecord{
				Tag: "1", PushedAt: at, ObservedAt: metav1.NewMicroTime(at.Time), Source: v1alpha1.SourceEvent,
			},
		},
	}
	if err := a.writer.Create(a.t.Context(), e); err != nil {
		a.t.Fatal(err)
	}
	a.conclude(e, v1alpha1.OutcomePass, at, func(status *v1alpha1.ImageVerificationStatus) {
		status.Image = facts
		status.Verdict.Platforms, status.Verdict.Unselected = []string{"linux/amd64", "linux/arm64"}, 1
	})
	return e
}

// published waits until the statements about an index are in its registry, or none is.
func (a *attested) published(i index, n int) {
	a.t.Helper()
	within(a.t, time.Minute, fmt.Sprintf("%d statements about %s", n, i.root()), func() error {
		var e v1alpha1.ImageVerification
		if err := a.admin.Get(a.t.Context(), client.ObjectKeyFromObject(i.entry), &e); err != nil {
			return err
		}
		all := e.Status.Attestations
		waits := slices.ContainsFunc(all, func(s v1alpha1.AttestationStatus) bool {
			return s.State != v1alpha1.AttestationPublished
		})
		if len(all) != n || waits {
			return fmt.Errorf("recorded are %+v", all)
		}
		return nil
	})
}

// Property: cosign, run as docs/attestations.md says with the policy in docs/examples, accepts
// what the attestor signed, and refuses all else, each for its own reason: on every kind of
// registry, by every kind of key.
func TestCosignReadsWhatTheAttestorSigned(t *testing.T) {
	dir := buildPrograms(t, "attestor")
	for kind := range signers {
		t.Run(kind, func(t *testing.T) {
			ownCluster(t)
			private, public := newSigner(t, kind)
			_, other := newSigner(t, kind)
			at := stores(t)
			a := &attested{gateSetup: newGateSetup(t), keys: filepath.Dir(private)}
			a.asks(at)
			a.program(dir).start(t, "")
			for store, host := range at {
				t.Run(store, func(t *testing.T) {
					own := *a.gateSetup
					own.t = t
					(&attested{gateSetup: &own, keys: a.keys}).consumed(host, public, other)
				})
			}
		})
	}
}

// asks has the trigger ask for attestations, and the operator allow it, in all registries.
func (a *attested) asks(stores map[string]string) {
	a.t.Helper()
	a.trigger.Spec.Attest = &v1alpha1.Attest{MaxAge: metav1.Duration{Duration: 240 * time.Hour}}
	if err := a.admin.Update(a.t.Context(), a.trigger); err != nil {
		a.t.Fatal(err)
	}
	var list strings.Builder
	for _, host := range stores {
		name := "r" + host[strings.LastIndex(host, ":")+1:]
		fmt.Fprintf(&list, "- {name: %q, host: %q, insecure: true, namespaces: [%q]}\n", name, host, a.ledger)
	}
	a.operator(config.RegistriesConfigMap, config.RegistriesKey, list.String())
	a.operator(config.AttestationConfigMap, config.AttestedKey,
		fmt.Sprintf("- {namespace: %q, trigger: %q}", a.ledger, a.trigger.Name))
}

func (a *attested) consumed(host, public, other string) {
	a.t.Helper()
	young := a.index(host, "young", time.Now().Add(-time.Minute))
	old := a.index(host, "old", time.Now().Add(-25*time.Hour))
	_, unverified := pushTo(a.t, young.entry.Spec.Repository.Pull+":2")
	a.published(young, 1)
	a.published(old, 1)
	values := []string{
		"registry.example.com/team/app", host + "/" + a.ledger + "/",
		policyAll, attestation.PolicyURI("test", a.ledger, a.trigger.Name),
	}
	c := newConsumer(a.t, public, values...)
	c.accepts("an index that passed", young.root())
	c.accepts("an image of it that was looked at", young.at(young.children[1]))
	c.refuses("one that was not", young.at(young.children[2]), nothingAttached)
	c.refuses("what nobody verified", young.at(unverified), nothingAttached)
	c.refuses("a verdict of yesterday", old.root(), only("it is too old: of TIME"))
	newConsumer(a.t, other, values...).refuses("what another key signed", young.root(), wrongKey)

	a.conclude(young.entry, v1alpha1.OutcomeFail, metav1.Now().Rfc3339Copy())
	a.published(young, 0)
	c.refuses("a verdict that turned", young.root(), nothingAttached)
	c.refuses("an image of it", young.at(young.children[1]), nothingAttached)
}
