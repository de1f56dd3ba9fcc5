package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

var kinds = []string{"ecdsa", "rsa", "ed25519"}

func recorded(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/cosign/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signedDigest(t testing.TB) image.Digest {
	t.Helper()
	d, err := image.ParseDigest(strings.TrimSpace(string(recorded(t, "digest"))))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func keysOf(t testing.TB, kinds ...string) []Key {
	t.Helper()
	var all []Key
	for _, kind := range kinds {
		keys, err := sigstore.ParseKeys(kind, recorded(t, kind+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, keys...)
	}
	return all
}

func others(kind string) []string {
	var all []string
	for _, k := range kinds {
		if k != kind {
			all = append(all, k)
		}
	}
	return all
}

// simpleOf is cosign's own signature of the older form.
func simpleOf(t testing.TB, kind string) (payload []byte, encoded string) {
	t.Helper()
	var m manifest
	if err := json.Unmarshal(recorded(t, kind+".sig.json"), &m); err != nil {
		t.Fatal(err)
	}
	return recorded(t, kind+".payload.json"), m.Layers[0].Annotations[annotation]
}

// What cosign signed holds for the key that signed and the digest that was
// signed, in both of its forms, and for nothing else.
func TestCosignsSignatures(t *testing.T) {
	digest := signedDigest(t)
	other, err := image.ParseDigest("sha256:" + strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		payload, sig := simpleOf(t, kind)
		for form, verify := range map[string]func([]Key, image.Digest) (string, error){
			"simple": func(k []Key, d image.Digest) (string, error) { return verifySimple(k, d, payload, sig) },
			"bundle": func(k []Key, d image.Digest) (string, error) {
				return verifyBundle(k, d, recorded(t, kind+".bundle.json"))
			},
		} {
			t.Run(kind+" "+form, func(t *testing.T) {
				if by, err := verify(keysOf(t, kinds...), digest); err != nil || by != kind {
					t.Errorf("signed by %q, %v", by, err)
				}
				if by, err := verify(keysOf(t, others(kind)...), digest); !errors.Is(err, sigstore.ErrUntrusted) || by != "" {
					t.Errorf("with other keys it is signed by %q, %v", by, err)
				}
				if by, err := verify(nil, digest); !errors.Is(err, sigstore.ErrUntrusted) || by != "" {
					t.Errorf("without a key it is signed by %q, %v", by, err)
				}
				if by, err := verify(keysOf(t, kind), other); err == nil || !strings.Contains(err.Error(), "not "+other.String()) && !strings.Contains(err.Error(), "than "+other.String()) || by != "" {
					t.Errorf("another digest is signed by %q, %v", by, err)
				}
			})
		}
	}
}

// One letter that differs is enough: of what was signed, or of the signature.
func TestTamperedSignatures(t *testing.T) {
	digest := signedDigest(t)
	for _, kind := range kinds {
		keys := keysOf(t, kind)
		payload, sig := simpleOf(t, kind)
		for i := range payload {
			bad := bytes.Clone(payload)
			bad[i] ^= 1
			if by, err := verifySimple(keys, digest, bad, sig); err == nil {
				t.Fatalf("%s: with byte %d changed, the payload is signed by %q", kind, i, by)
			}
		}
		raw, err := base64.StdEncoding.DecodeString(sig)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			bad := bytes.Clone(raw)
			bad[i] ^= 1
			if by, err := verifySimple(keys, digest, payload, base64.StdEncoding.EncodeToString(bad)); err == nil {
				t.Fatalf("%s: with byte %d changed, the signature is by %q", kind, i, by)
			}
		}
		var b sigstore.Bundle
		if err := json.Unmarshal(recorded(t, kind+".bundle.json"), &b); err != nil {
			t.Fatal(err)
		}
		statement, err := base64.StdEncoding.DecodeString(b.Envelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for i := range statement {
			bad := bytes.Clone(statement)
			bad[i] ^= 1
			b.Envelope.Payload = base64.StdEncoding.EncodeToString(bad)
			text, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			if by, err := verifyBundle(keys, digest, text); err == nil {
				t.Fatalf("%s: with byte %d changed, the statement is signed by %q", kind, i, by)
			}
		}
	}
}

// What is no signature of an image is refused with its cause, or passed over as
// an attestation.
func TestVerifyBundleRefuses(t *testing.T) {
	good := string(recorded(t, "ecdsa.bundle.json"))
	var b sigstore.Bundle
	if err := json.Unmarshal([]byte(good), &b); err != nil {
		t.Fatal(err)
	}
	attestation := strings.Replace(good, b.Envelope.Payload, base64.StdEncoding.EncodeToString([]byte(`{"predicateType":"https://slsa.dev/provenance/v1"}`)), 1)
	tests := []struct{ name, raw, want string }{
		{"no JSON", "{", "not a Sigstore bundle"},
		{"another version", strings.ReplaceAll(good, "v0.3", "v0.9"), "a bundle of type"},
		{"no content", `{"mediaType":"` + sigstore.BundleType + `"}`, "with a DSSE envelope"},
		{"both contents", strings.Replace(good, `"dsseEnvelope"`, `"messageSignature":{},"dsseEnvelope"`, 1), "with a DSSE envelope"},
		{"a signature of some bytes", `{"mediaType":"` + sigstore.BundleType + `","messageSignature":{}}`, errOther.Error()},
		{"another payload type", strings.Replace(good, "application/vnd.in-toto+json", "text/plain", 1), errOther.Error()},
		{"no payload type", strings.Replace(good, "application/vnd.in-toto+json", "", 1), "is not an in-toto statement"},
		{"a payload that is not base64", strings.Replace(good, b.Envelope.Payload, "%", 1), "base64"},
		{"no signature", strings.Replace(good, `[{"sig":"`+b.Envelope.Signatures[0].Sig+`"}]`, "[]", 1), sigstore.ErrUntrusted.Error()},
		{"a signature that is not base64", strings.Replace(good, b.Envelope.Signatures[0].Sig, "%", 1), sigstore.ErrUntrusted.Error()},
		{"very many signatures", strings.Replace(good, `[{"sig"`, `[`+strings.Repeat(`{"sig":""},`, 16)+`{"sig"`, 1), "more than 16"},
		{"an attestation", attestation, errOther.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if by, err := verifyBundle(keysOf(t, kinds...), signedDigest(t), []byte(tt.raw)); err == nil || !strings.Contains(err.Error(), tt.want) || by != "" {
				t.Errorf("signed by %q, %v; want %q", by, err, tt.want)
			}
		})
	}
}

// Whatever a bundle holds, it counts only with cosign's own statement in it.
func FuzzVerifyBundle(f *testing.F) {
	keys, digest := keysOf(f, kinds...), signedDigest(f)
	statements := map[string]bool{}
	for _, kind := range kinds {
		raw := recorded(f, kind+".bundle.json")
		var b sigstore.Bundle
		if err := json.Unmarshal(raw, &b); err != nil {
			f.Fatal(err)
		}
		statements[b.Envelope.Payload] = true
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		by, err := verifyBundle(keys, digest, raw)
		if (err == nil) != (by != "") {
			t.Errorf("signed by %q beside %v", by, err)
		}
		var b sigstore.Bundle
		if err == nil && (json.Unmarshal(raw, &b) != nil || !statements[b.Envelope.Payload]) {
			t.Errorf("%s is signed by %q", raw, by)
		}
	})
}

// A trusted key signs other things too: only a document that is meant as the
// signature of this image counts.
func TestWhatATrustedKeySignedElsewhere(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sigstore.NewKey("k", &private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, digest := []Key{key}, signedDigest(t)
	sign := func(message []byte) string {
		sum := sha256.Sum256(message)
		sig, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(sig)
	}
	const simple = `{"critical":{"image":{"docker-manifest-digest":"DIGEST"},"type":"cosign container image signature"}}`
	for payload, want := range map[string]string{
		simple: "",
		strings.Replace(simple, "cosign container image signature", "atomic container signature", 1): "not a",
		strings.Replace(simple, "DIGEST", "sha256:"+strings.Repeat("a", 64), 1):                      "it signs sha256:aaa",
		`{"image":"DIGEST"}`: "not a",
		"DIGEST":             "cannot read its payload",
	} {
		text := []byte(strings.ReplaceAll(payload, "DIGEST", digest.String()))
		by, err := verifySimple(keys, digest, text, sign(text))
		if want == "" && (err != nil || by != "k") || want != "" && (err == nil || by != "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: signed by %q, %v; want %q", text, by, err, want)
		}
	}

	const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"OTHER"}},{"digest":{"sha256":"HEX"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1"}`
	for payload, want := range map[string]string{
		statement: "",
		strings.Replace(statement, "Statement/v1", "Statement/v9", 1):  "statement has the type",
		strings.Replace(statement, "HEX", "OTHER", 1):                  "something other",
		strings.Replace(statement, `"sha256":"HEX"`, `"md5":"HEX"`, 1): "something other",
		strings.Replace(statement, "cosign/sign", "cosign/other", 1):   errOther.Error(),
	} {
		text := []byte(strings.NewReplacer("HEX", digest.Hex(), "OTHER", strings.Repeat("a", 64)).Replace(payload))
		bundleOf := func(sig string) []byte {
			return []byte(`{"mediaType":"` + sigstore.BundleType + `","dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString(text) +
				`","payloadType":"` + sigstore.StatementPayload + `","signatures":[{"sig":"AAAA"},{"sig":"` + sig + `"}]}}`)
		}
		by, err := verifyBundle(keys, digest, bundleOf(sign(sigstore.PreAuthentication(sigstore.StatementPayload, text))))
		if want == "" && (err != nil || by != "k") || want != "" && (err == nil || by != "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: signed by %q, %v; want %q", text, by, err, want)
		}
		// What was signed as it is, or as something else, is no envelope.
		for _, message := range [][]byte{text, sigstore.PreAuthentication("text/plain", text)} {
			if by, err := verifyBundle(keys, digest, bundleOf(sign(message))); err == nil {
				t.Errorf("%s: signed by %q outside of an envelope", text, by)
			}
		}
	}
}
