//go:build interop

package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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
	"github.com/revet-dev/revet/test/gobuild"
)

// published is the folder with the policy that docs/attestations.md names.
var published = filepath.Join(repository, "docs", "examples", "attestations")

// cosignBuilt builds cosign once for all tests that run it.
var cosignBuilt = sync.OnceValue(func() error {
	return gobuild.Source{Root: repository, Module: "test/interop"}.Into(context.Background(), programsDir, "github.com/sigstore/cosign/v3/cmd/cosign")
})

// consumer runs cosign as docs/attestations.md says. It reaches nothing but registries on
// this machine: the documented command asks neither a transparency log nor for trusted roots.
type consumer struct {
	t *testing.T
	// key is the file with the public key that it trusts, and policy its folder.
	key, policy string
}

// documented returns the command that docs/attestations.md names, and its arguments.
func documented(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "docs", "attestations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), "\n```\ncosign ")
	block, _, ok := strings.Cut(after, "\n```\n")
	if !ok {
		t.Fatal("docs/attestations.md names no command of cosign's")
	}
	return strings.Fields(strings.ReplaceAll(block, "\\\n", " "))
}

// newConsumer expects what the published policy does, with other values: pairs of texts in
// expected.rego and what stands in their places.
func newConsumer(t *testing.T, key string, values ...string) consumer {
	t.Helper()
	if err := cosignBuilt(); err != nil {
		t.Fatal(err)
	}
	c := consumer{t: t, key: key, policy: t.TempDir()}
	for file, replaced := range map[string][]string{"verdict.rego": nil, "expected.rego": values} {
		raw, err := os.ReadFile(filepath.Join(published, file))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for pair := range slices.Chunk(replaced, 2) {
			if !strings.Contains(text, pair[0]) {
				t.Fatalf("%s does not hold %s", file, pair[0])
			}
			text = strings.ReplaceAll(text, pair[0], pair[1])
		}
		if err := os.WriteFile(filepath.Join(c.policy, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// verify returns what cosign says against an image; nothing if it accepts it.
func (c consumer) verify(image string) string {
	c.t.Helper()
	args := documented(c.t)
	for of, is := range map[string]string{"revet.pub": c.key, "registry.example.com/team/app@sha256:DIGEST": image} {
		i := slices.Index(args, of)
		if i < 0 {
			c.t.Fatalf("%q does not name %s", args, of)
		}
		args[i] = is
	}
	command := exec.CommandContext(c.t.Context(), filepath.Join(programsDir, "cosign"), args...)
	command.Dir = c.policy
	command.Env = []string{"HOME=" + c.policy, "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"}
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	switch {
	case err == nil && out.Len() > 0:
		return ""
	case errors.As(err, new(*exec.ExitError)) && said.Len() > 0:
		return said.String()
	default:
		c.t.Fatalf("cosign: %v, printed %q and %q", err, out.String(), said.String())
		return ""
	}
}

// accepts checks that cosign accepts an image.
func (c consumer) accepts(what, image string) {
	c.t.Helper()
	if said := c.verify(image); said != "" {
		c.t.Errorf("%s is refused: %s", what, said)
	}
}

// refuses checks that cosign refuses an image for a reason.
func (c consumer) refuses(what, image string, reason *regexp.Regexp) {
	c.t.Helper()
	if said := c.verify(image); !reason.MatchString(said) {
		c.t.Errorf("%s: want a refusal with %q, got %q", what, reason, said)
	}
}

// What cosign says of an image that has no statement, and of one by another key.
var (
	nothingAttached = regexp.MustCompile("(?m)^Error: no matching attestations: $")
	wrongKey        = regexp.MustCompile("could not verify envelope: accepted signatures do not match threshold")
)

// only is what cosign says if the policy has one reason. TIME stands for any time.
func only(reason string) *regexp.Regexp {
	return regexp.MustCompile(`expression value, \[` + strings.ReplaceAll(regexp.QuoteMeta(reason), "TIME", `[-0-9:TZ]+`) + `\], is not true`)
}

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

// stores are the registries by kind: their addresses.
func stores(t *testing.T) map[string]string {
	t.Helper()
	with := httptest.NewServer(ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(with.Close)
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
		"with referrers": strings.TrimPrefix(with.URL, "http://"), "without referrers": without.Addr(),
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
		root = mutate.AppendManifests(root, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
		i.children = append(i.children, digest)
		facts.Children = append(facts.Children, v1alpha1.ChildImage{Digest: digest, Platform: platform.OS + "/" + platform.Architecture})
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
func (a *attested) record(where, digest string, facts *v1alpha1.ImageFacts, at metav1.Time) *v1alpha1.ImageVerification {
	a.t.Helper()
	e := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.ledger, GenerateName: "app-", Labels: map[string]string{v1alpha1.TriggerUIDLabel: string(a.trigger.UID)},
		},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: a.trigger.Name, UID: string(a.trigger.UID)},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: where, Pull: where},
			Digest:     digest, FirstPush: v1alpha1.PushRecord{Tag: "1", PushedAt: at, ObservedAt: metav1.NewMicroTime(at.Time), Source: v1alpha1.SourceEvent},
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
		if len(all) != n || slices.ContainsFunc(all, func(s v1alpha1.AttestationStatus) bool { return s.State != v1alpha1.AttestationPublished }) {
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
		fmt.Fprintf(&list, "- {name: %q, host: %q, insecure: true, namespaces: [%q]}\n", "r"+host[strings.LastIndex(host, ":")+1:], host, a.ledger)
	}
	a.operator(config.RegistriesConfigMap, config.RegistriesKey, list.String())
	a.operator(config.AttestationConfigMap, config.AttestedKey, fmt.Sprintf("- {namespace: %q, trigger: %q}", a.ledger, a.trigger.Name))
}

func (a *attested) consumed(host, public, other string) {
	a.t.Helper()
	young, old := a.index(host, "young", time.Now().Add(-time.Minute)), a.index(host, "old", time.Now().Add(-25*time.Hour))
	_, unverified := pushTo(a.t, young.entry.Spec.Repository.Pull+":2")
	a.published(young, 1)
	a.published(old, 1)
	values := []string{
		"registry.example.com/team/app", host + "/" + a.ledger + "/",
		"revet://prod-1/namespaces/image-verification/imagetriggers/all", attestation.PolicyURI("test", a.ledger, a.trigger.Name),
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
