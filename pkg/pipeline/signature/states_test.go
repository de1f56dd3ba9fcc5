package signature

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/sigstore"
)

const (
	valid, invalid, none = "valid", "invalid", "none"
	vsaPredicate         = "https://slsa.dev/verification_summary/v1"
	bundleV01            = "application/vnd.dev.sigstore.bundle+json;version=0.1"
	bundleV02            = "application/vnd.dev.sigstore.bundle+json;version=0.2"
	bundleV03Older       = "application/vnd.dev.sigstore.bundle+json;version=0.3"
	bundleV09            = "application/vnd.dev.sigstore.bundle.v0.9+json"
)

// vsa is a bundle of a foreign attestation. Nobody asks who signed it.
func vsa(n int) string {
	payload := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","predicateType":%q,"predicate":{"n":%d}}`, vsaPredicate, n)
	return `{"mediaType":"` + sigstore.BundleType + `","dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString([]byte(payload)) +
		`","payloadType":"` + sigstore.StatementPayload + `","signatures":[{"sig":"AAAA"}]}}`
}

func says(predicate string) map[string]string {
	return map[string]string{sigstore.PredicateAnnotation: predicate}
}

// vsas are so many of them, annotated as cosign does.
func vsas(s *shelf, n int) {
	for i := range n {
		s.attach(sigstore.BundleType, vsa(i), says(vsaPredicate))
	}
}

// strangers are so many signatures by a key that nobody trusts.
func strangers(s *shelf, n int) {
	for i := range n {
		s.recorded("v3-sign-stranger", `"mediaType":"`+sigstore.BundleType+`", "`, fmt.Sprintf(`"n":%d,"mediaType":"%s","`, i, sigstore.BundleType))
	}
}

// crowd puts so many of a stranger's signatures under the tag.
func crowd(s *shelf, n int) {
	s.recorded("v2-sign-stranger")
	tag := "sha256-" + s.digest.Hex() + ".sig"
	before, after, _ := strings.Cut(s.content[s.tags[tag]], `"layers":[`)
	layer := strings.TrimSuffix(after, "]}")
	s.tags[tag] = s.put(before + `"layers":[` + strings.TrimSuffix(strings.Repeat(layer+",", n), ",") + "]}")
}

// fill makes a bundle large.
func fill(bundle string) string {
	return strings.Replace(bundle, "{", `{"filler":"`+strings.Repeat("x", maxBundle)+`",`, 1)
}

// What an image's signature is, for all that cosign and others write beside it, in
// registries of every kind.
func TestStates(t *testing.T) {
	of := func(names ...string) func(*shelf) {
		return func(s *shelf) {
			for _, name := range names {
				s.recorded(name)
			}
		}
	}
	version := func(name, version string) func(*shelf) {
		return func(s *shelf) { s.recorded(name, sigstore.BundleType, version) }
	}
	tests := []struct {
		name  string
		stock func(*shelf)
		want  string
	}{
		{"nothing", of(), none},
		{"cosign v2 signed", of("v2-sign"), valid},
		{"cosign v2 signed by a stranger", of("v2-sign-stranger"), invalid},
		{"cosign v2 attested", of("v2-attest"), none},
		{"cosign v2 signed and attested", of("v2-sign", "v2-attest"), valid},
		{"cosign v2 signed in the newer format", of("v2-sign-new-format"), valid},
		{"cosign v2 attested in the newer format", of("v2-attest-new-format"), none},
		{"cosign v3 signed", of("v3-sign"), valid},
		{"cosign v3 signed by a stranger", of("v3-sign-stranger"), invalid},
		{"cosign v3 signed in the older format", of("v3-sign-old-format"), valid},
		{"cosign v3 attested", of("v3-attest"), none},
		{"cosign v3 attested by a stranger", of("v3-attest-stranger"), none},
		{"cosign v3 signed and attested", of("v3-attest", "v3-sign", "v3-attest-stranger"), valid},
		{"cosign v3 signed by a stranger, and attested", of("v3-attest", "v3-sign-stranger"), invalid},
		{"under the tag and in a bundle", of("v2-sign", "v3-sign"), valid},
		{"under the tag, and by a stranger in a bundle", of("v2-sign", "v3-sign-stranger"), valid},
		{"in a bundle, and by a stranger under the tag", of("v2-sign-stranger", "v3-sign"), valid},
		{"by strangers in both", of("v2-sign-stranger", "v3-sign-stranger"), invalid},
		{"200 other referrers", func(s *shelf) { vsas(s, 200) }, none},
		{"signed behind 200 other referrers", func(s *shelf) { vsas(s, 200); s.recorded("v3-sign") }, valid},
		{"signed by a stranger behind 200 other referrers", func(s *shelf) { vsas(s, 200); s.recorded("v3-sign-stranger") }, invalid},
		{"signed under the tag beside 200 other referrers", func(s *shelf) { vsas(s, 200); s.recorded("v2-sign") }, valid},
		{"64 strangers", func(s *shelf) { strangers(s, 64) }, invalid},
		{"64 strangers before a signature", func(s *shelf) { strangers(s, 64); s.recorded("v3-sign") }, valid},
		{"65 strangers", func(s *shelf) { strangers(s, 65) }, "Error TooLarge"},
		{"64 strangers under the tag", func(s *shelf) { crowd(s, 64) }, invalid},
		{"10000 strangers under the tag", func(s *shelf) { crowd(s, 10_000) }, "Error TooLarge"},
		{"65 strangers under the tag, and signed in a bundle", func(s *shelf) { crowd(s, 65); s.recorded("v3-sign") }, valid},
		{"65 strangers, and signed under the tag", func(s *shelf) { strangers(s, 65); s.recorded("v2-sign") }, valid},
		{"65 that say nothing of themselves before a signature that does", func(s *shelf) {
			for i := range 65 {
				s.attach(sigstore.BundleType, fmt.Sprint("no bundle ", i), nil)
			}
			s.recorded("v3-sign")
		}, valid},
		{"an attestation of version 0.1", version("v3-attest", bundleV01), none},
		{"an attestation of version 0.2", version("v3-attest-stranger", bundleV02), none},
		{"an attestation of a version that is not known", version("v3-attest", bundleV09), none},
		{"signed in version 0.1, which cosign does not take", version("v3-sign", bundleV01), invalid},
		{"signed by a stranger in version 0.2", version("v3-sign-stranger", bundleV02), invalid},
		{"signed in a version that is not known", version("v3-sign", bundleV09), invalid},
		{"signed in the older spelling of version 0.3", version("v3-sign", bundleV03Older), valid},
		{"a signature of some bytes", func(s *shelf) {
			s.attach(sigstore.BundleType, `{"mediaType":"`+sigstore.BundleType+`","messageSignature":{"signature":"AAAA"}}`, nil)
		}, none},
		{"an envelope of another payload", func(s *shelf) {
			s.attach(sigstore.BundleType, `{"mediaType":"`+sigstore.BundleType+`","dsseEnvelope":{"payload":"aGVsbG8=","payloadType":"text/plain"}}`, nil)
		}, none},
		{"an attestation in the other alphabet", func(s *shelf) {
			s.attach(sigstore.BundleType, strings.Replace(vsa(0), "==", "", 1), nil)
			payload := base64.URLEncoding.EncodeToString([]byte(`{"predicateType":"x","predicate":"???>>>"}`))
			s.attach(sigstore.BundleType, `{"mediaType":"`+sigstore.BundleType+`","dsseEnvelope":{"payload":"`+payload+`","payloadType":"`+sigstore.StatementPayload+`"}}`, nil)
		}, none},
		{"an attestation that says nothing of itself", func(s *shelf) { s.attach(sigstore.BundleType, vsa(0), nil) }, none},
		{"a bundle that is none", func(s *shelf) { s.attach(sigstore.BundleType, "hello", nil) }, invalid},
		{"a signature that says that it is something else", func(s *shelf) {
			s.recorded("v3-sign", `"`+sigstore.PredicateAnnotation+`":"`+signPredicate, `"`+sigstore.PredicateAnnotation+`":"`+vsaPredicate)
		}, valid},
		{"an SBOM", func(s *shelf) { s.attach("application/vnd.cyclonedx+json", "{}", nil) }, none},
		{"a referrer that is no JSON", func(s *shelf) { s.refer(s.put("hello"), "", nil) }, none},
		{"a referrer that is an index", func(s *shelf) { s.refer(s.put(`{"manifests":[]}`), "", nil) }, none},
		{"a referrer that was deleted", func(s *shelf) { s.refer("sha256:"+strings.Repeat("a", 64), sigstore.BundleType, nil) }, none},
		{"an attestation whose blob was deleted", func(s *shelf) {
			delete(s.content, s.attach(sigstore.BundleType, vsa(0), says(vsaPredicate)))
		}, none},
		{"a bundle whose blob was deleted", func(s *shelf) { delete(s.content, s.attach(sigstore.BundleType, vsa(0), nil)) }, invalid},
		{"a large attestation", func(s *shelf) { s.attach(sigstore.BundleType, fill(vsa(0)), says(vsaPredicate)) }, none},
		{"something large that says nothing of itself", func(s *shelf) { s.attach(sigstore.BundleType, fill(vsa(0)), nil) }, "Error TooLarge"},
		{"signed, beside something large", func(s *shelf) { s.attach(sigstore.BundleType, fill(vsa(0)), nil); s.recorded("v3-sign") }, valid},
		{"more than can be listed", func(s *shelf) {
			for n := range 1001 {
				s.refer(fmt.Sprintf("sha256:%064d", n), "", nil)
			}
		}, "Error TooLarge"},
		{"signed under the tag, beside more than can be listed", func(s *shelf) {
			s.recorded("v2-sign")
			for n := range 1001 {
				s.refer(fmt.Sprintf("sha256:%064d", n), "", nil)
			}
		}, valid},
		{"a tag that is a web page", func(s *shelf) { s.tags["sha256-"+s.digest.Hex()+".sig"] = s.put("<html>") }, "Error RegistryUnavailable"},
		{"a tag that is some JSON", func(s *shelf) { s.tags["sha256-"+s.digest.Hex()+".sig"] = s.put("{}") }, "Error RegistryUnavailable"},
	}
	for _, tt := range tests {
		for _, w := range ways {
			t.Run(tt.name+", "+w.name, func(t *testing.T) {
				s := newShelf(t, w)
				tt.stock(s)
				if got, err := s.state(); got != tt.want {
					t.Errorf("it is %q, want %q: %v", got, tt.want, err)
				}
			})
		}
	}
}

// What its manifest says to be too large is not read.
func TestLargeBundlesAreNotRead(t *testing.T) {
	s := newShelf(t, ways[0])
	large := s.attach(sigstore.BundleType, fill(vsa(0)), says(vsaPredicate))
	s.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, large) {
			t.Error("it was read")
		}
		return false
	}
	if got, err := s.state(); got != none {
		t.Errorf("it is %q: %v", got, err)
	}
}

// All that is read of referrers is bounded together. Past the bound, what cannot be
// told from a signature is told.
func TestReadingReferrersIsBounded(t *testing.T) {
	s := newShelf(t, ways[0])
	vsas(s, 20)
	source := s.source()
	size := int64(len(s.content[s.referrers[0].Digest.String()]) + len(vsa(0)))
	for left, want := range map[int64]int{100 * size: 0, 5 * size: 15, size - 1: 19, 1: 20} {
		l := look{src: source, digest: s.digest, left: left}
		if err := l.bundles(t.Context()); err != nil || len(l.unread) != want {
			t.Errorf("of %d bytes, %d referrers are not read, want %d: %v, %v", left, len(l.unread), want, l.unread, err)
		}
		if left == 5*size && !strings.Contains(l.unread[0].Error(), "the referrers of the image are larger") {
			t.Errorf("what is past the bound of all is told as %v", l.unread[0])
		}
	}
}

// What cannot be read is an error and never "none"; a signature that holds does so
// whatever else cannot be read.
func TestStatesOfWhatCannotBeRead(t *testing.T) {
	fails := func(code int, part string) func(*shelf) {
		return func(s *shelf) {
			s.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.RequestURI(), part) {
					return false
				}
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(code)
				return true
			}
		}
	}
	tests := []struct {
		name  string
		fault func(*shelf)
		// Of an image that nobody signed, one signed under the tag, and in a bundle.
		unsigned, simple, bundle string
	}{
		{"the tag fails", fails(500, ".sig"), "Error RegistryUnavailable", "Error RegistryUnavailable", valid},
		{"the tag is limited", fails(429, ".sig"), "Error RateLimited", "Error RateLimited", valid},
		{"the tag is no method", fails(405, ".sig"), "Error RegistryUnavailable", "Error RegistryUnavailable", valid},
		{"the list fails", fails(500, "/referrers/"), "Error RegistryUnavailable", valid, "Error RegistryUnavailable"},
		{"the list is limited", fails(429, "/referrers/"), "Error RateLimited", valid, "Error RateLimited"},
		{"the list is denied", fails(403, "/referrers/"), "Error AccessDenied", valid, "Error AccessDenied"},
		{"the second page fails", fails(502, "?from="), "Error RegistryUnavailable", valid, "Error RegistryUnavailable"},
		{"the second page is not there", fails(404, "?from="), "Error RegistryUnavailable", valid, "Error RegistryUnavailable"},
		{"blobs fail", fails(500, "/blobs/"), "Error RegistryUnavailable", "Error RegistryUnavailable", "Error RegistryUnavailable"},
		{"blobs are others", func(s *shelf) {
			s.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				fmt.Fprint(w, "{}")
				return true
			}
		}, "Error ContentCorrupted", "Error ContentCorrupted", "Error ContentCorrupted"},
		{"referrers are others", func(s *shelf) {
			s.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/sha256:") {
					return false
				}
				fmt.Fprint(w, "{}")
				return true
			}
		}, "Error ContentCorrupted", valid, "Error ContentCorrupted"},
	}
	for _, tt := range tests {
		for stock, want := range map[string]string{"": tt.unsigned, "v2-sign": tt.simple, "v3-sign": tt.bundle} {
			t.Run(tt.name+", "+stock, func(t *testing.T) {
				s := newShelf(t, ways[1])
				vsas(s, 10)
				if stock != "" {
					s.recorded(stock)
				}
				tt.fault(s)
				got, err := s.state()
				if got != want {
					t.Errorf("it is %q, want %q: %v", got, want, err)
				}
				if strings.HasPrefix(want, "Error RateLimited") && !strings.Contains(err.Error(), "until") {
					t.Errorf("the error does not say until when: %v", err)
				}
			})
		}
	}
}
