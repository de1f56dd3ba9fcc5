package attestation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

var update = flag.Bool("update", false, "write the golden files")

// What is stated of an entry. Consumers' policies read these fields, so that none may change
// without notice.
func TestStatement(t *testing.T) {
	s, err := Make(passedEntry(), by)
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, s.Payload, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const golden = "testdata/statement.golden"
	if *update {
		if err := os.WriteFile(golden, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("statement (-want +got):\n%s", diff)
	}
	var subjects []string
	for _, d := range s.Subjects {
		subjects = append(subjects, d.String())
	}
	if diff := cmp.Diff([]string{digestOf("a"), digestOf("b"), digestOf("c")}, subjects); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
}

// Nothing but a pass is ever stated, and nothing without an audience.
func TestMakeRefuses(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.ImageVerification, *Verifier){
		"a fail":       func(e *v1alpha1.ImageVerification, _ *Verifier) { e.Status.Verdict.Outcome = v1alpha1.OutcomeFail },
		"an error":     func(e *v1alpha1.ImageVerification, _ *Verifier) { e.Status.Verdict.Outcome = v1alpha1.OutcomeError },
		"an empty one": func(e *v1alpha1.ImageVerification, _ *Verifier) { e.Status.Verdict = &v1alpha1.Verdict{} },
		"none at all":  func(e *v1alpha1.ImageVerification, _ *Verifier) { e.Status.Verdict = nil },
		"only a phase": func(e *v1alpha1.ImageVerification, _ *Verifier) {
			e.Status.Verdict, e.Status.Phase = nil, v1alpha1.PhasePassed
		},
		"no cluster":      func(_ *v1alpha1.ImageVerification, v *Verifier) { v.Cluster = "" },
		"no id":           func(_ *v1alpha1.ImageVerification, v *Verifier) { v.ID = "" },
		"no digest":       func(e *v1alpha1.ImageVerification, _ *Verifier) { e.Spec.Digest = "latest" },
		"a child without": func(e *v1alpha1.ImageVerification, _ *Verifier) { e.Status.Image.Children[0].Digest = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			e, v := passedEntry(), by
			change(e, &v)
			if s, err := Make(e, v); err == nil || s.Payload != nil {
				t.Errorf("it states %s, %v", s.Payload, err)
			}
		})
	}
	if _, err := Sign(t.Context(), Statement{}, currentOf(t, ringOf(t, map[string][]byte{"2026-01-01.pem": newECDSA(t)}))); !errors.Is(err, ErrNotPassed) {
		t.Errorf("nothing is signed: %v", err)
	}
}

// Only what was read from the index's own bytes, and is known to have been looked at, is a
// subject.
func TestSubjects(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*v1alpha1.ImageVerification)
		want   int
	}{
		"all that were looked at":              {func(*v1alpha1.ImageVerification) {}, 3},
		"no platform is known to be looked at": {func(e *v1alpha1.ImageVerification) { e.Status.Verdict.Platforms = nil }, 1},
		"a child without a platform":           {func(e *v1alpha1.ImageVerification) { e.Status.Image.Children[0].Platform = "" }, 2},
		"a child that is listed twice":         {func(e *v1alpha1.ImageVerification) { e.Status.Image.Children[1].Digest = digestOf("b") }, 2},
		"what an Image object says":            {func(e *v1alpha1.ImageVerification) { e.Spec.Image, e.Status.Image = e.Status.Image, nil }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := passedEntry()
			row.change(e)
			s, err := Make(e, by)
			if err != nil || len(s.Subjects) != row.want {
				t.Errorf("subjects are %v, %v; want %d", s.Subjects, err, row.want)
			}
		})
	}
}

// The same entry and key give the same bytes each time, so that a recorded digest is enough
// to send the same bundle again.
func TestBytesAreDeterministic(t *testing.T) {
	for kind, material := range map[string][]byte{"ECDSA": newECDSA(t), "Ed25519": newEd25519(t)} {
		t.Run(kind, func(t *testing.T) {
			var bundles []Bundle
			for range 3 {
				s, err := Make(passedEntry(), by)
				if err != nil {
					t.Fatal(err)
				}
				b, err := Sign(t.Context(), s, currentOf(t, ringOf(t, map[string][]byte{"2026-01-01.pem": material})))
				if err != nil {
					t.Fatal(err)
				}
				bundles = append(bundles, b)
			}
			if bundles[0].Digest != bundles[1].Digest || bundles[1].Digest != bundles[2].Digest || bundles[0].Digest != image.DigestOf(bundles[2].Content) {
				t.Errorf("the digests are %v, %v and %v", bundles[0].Digest, bundles[1].Digest, bundles[2].Digest)
			}
		})
	}
}

// The bundle has the shape that cosign v3 writes: the same fields, and base64 with padding.
func TestBundleHasCosignsShape(t *testing.T) {
	var recorded struct{ Blobs map[string]string }
	raw, err := os.ReadFile("../pipeline/signature/testdata/cosign/recorded/v3-attest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &recorded); err != nil {
		t.Fatal(err)
	}
	theirs := ""
	for _, blob := range recorded.Blobs {
		if len(blob) > len(theirs) {
			theirs = blob
		}
	}
	s, err := Make(passedEntry(), by)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Sign(t.Context(), s, currentOf(t, ringOf(t, map[string][]byte{"2026-01-01.pem": newECDSA(t)})))
	if err != nil {
		t.Fatal(err)
	}
	shape := func(raw string) map[string]string {
		var value any
		if err := json.Unmarshal([]byte(raw), &value); err != nil {
			t.Fatal(err)
		}
		paths := map[string]string{}
		var walk func(string, any)
		walk = func(at string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for k, child := range v {
					walk(at+"."+k, child)
				}
			case []any:
				for _, child := range v {
					walk(at+"[]", child)
				}
			case string:
				paths[at] = "string"
				if strings.HasSuffix(at, ".mediaType") || strings.HasSuffix(at, ".payloadType") {
					paths[at] = v
				}
				if strings.HasSuffix(at, ".payload") || strings.HasSuffix(at, ".sig") {
					if _, err := base64.StdEncoding.DecodeString(v); err != nil {
						t.Errorf("%s: %v", at, err)
					}
				}
			}
		}
		walk("", value)
		return paths
	}
	if diff := cmp.Diff(shape(theirs), shape(string(ours.Content))); diff != "" {
		t.Errorf("shape (-cosign's +ours):\n%s", diff)
	}
}

// The newest key whose day has come signs, the others still count, and a key that was taken
// out does not, whatever else has its name.
func TestRing(t *testing.T) {
	first, second, third := newECDSA(t), newEd25519(t), newECDSA(t)
	r := ringOf(t, map[string][]byte{"2026-01-01.pem": first, "2026-11-30.prod.pem": second, "2026-12-24.pem": third})
	for at, want := range map[string]string{
		"2025-12-31T23:59:59Z": "", "2026-01-01T00:00:00Z": "2026-01-01:", "2026-11-29T23:59:59Z": "2026-01-01:",
		"2026-11-30T00:00:00Z": "2026-11-30.prod:", "2030-01-01T00:00:00Z": "2026-12-24:",
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		k, ok := r.Current(when)
		if ok != (want != "") || !strings.HasPrefix(k.ID(), want) {
			t.Errorf("at %s the key %q signs, want %q", at, k.ID(), want)
		}
	}
	id := r.IDs()[0]
	if _, ok := r.Find(id); !ok {
		t.Error("a key of the ring is not found")
	}
	if _, ok := ringOf(t, map[string][]byte{"2026-01-01.pem": third}).Find(id); ok {
		t.Error("another key of the same name is taken for it")
	}
	if _, ok := r.Find(""); ok {
		t.Error("no id names a key")
	}
	if !(Ring{}).Empty() || r.Empty() {
		t.Error("which ring is empty?")
	}
	if _, err := (PrivateKey{}).Sign(t.Context(), nil); err == nil {
		t.Error("the zero value signs")
	}
	if _, err := (PrivateKey{}).Public(); err == nil {
		t.Error("the zero value has a public key")
	}
}

// A key that cannot be used is an error and not one key less, and no error shows any of it.
func TestParseRingRefuses(t *testing.T) {
	good := newECDSA(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	secret := base64.StdEncoding.EncodeToString(block.Bytes)[:40]
	many := map[string][]byte{}
	for i := range maxKeys + 1 {
		many["2026-01-01."+string(rune('a'+i))+".pem"] = good
	}
	for name, files := range map[string]map[string][]byte{
		"no day":               {"cosign.pem": good},
		"no such day":          {"2026-13-01.pem": good},
		"another ending":       {"2026-01-01.key": good},
		"no PEM":               {"2026-01-01.pem": []byte(secret)},
		"two keys":             {"2026-01-01.pem": append(bytes.Clone(good), good...)},
		"a public key":         {"2026-01-01.pem": bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("PUBLIC"))},
		"an encrypted one":     {"2026-01-01.pem": bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("ENCRYPTED PRIVATE"))},
		"half of one":          {"2026-01-01.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:60]})},
		"another curve":        {"2026-01-01.pem": pemOf(t, p384)},
		"RSA":                  {"2026-01-01.pem": pemOf(t, long)},
		"a good one beside it": {"2026-01-01.pem": good, "2026-02-01.pem": nil},
		"a large file":         {"2026-01-01.pem": bytes.Repeat(good, 100)},
		"very many":            many,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRing(files)
			if err == nil || !r.Empty() {
				t.Fatalf("%d keys, %v", len(r.keys), err)
			}
			if strings.Contains(err.Error(), secret[:12]) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
	if r, err := ParseRing(nil); err != nil || !r.Empty() {
		t.Errorf("no file gives %v, %v", r, err)
	}
}

// Consumers that are given a public key verify the message itself, and not its hash.
func TestEd25519SignsTheMessage(t *testing.T) {
	k := currentOf(t, ringOf(t, map[string][]byte{"2026-01-01.pem": newEd25519(t)}))
	sig, err := k.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	public, ok := k.signer.Public().(ed25519.PublicKey)
	if !ok || !ed25519.Verify(public, []byte("message"), sig) {
		t.Error("it is a signature of something else")
	}
	if _, err := sigstore.NewKey("k", public); err != nil {
		t.Error(err)
	}
}
