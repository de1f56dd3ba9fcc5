//go:build interop

package integration

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// The URIs of the policy that expected.rego names, and of another.
const (
	policyAll = "revet://prod-1/namespaces/image-verification/imagetriggers/all"
	policyAny = "revet://prod-1/namespaces/image-verification/imagetriggers/any"
)

// desk attaches to images what the attestor would never sign, by its key.
type desk struct {
	t       *testing.T
	host    string
	private string
	n       int
}

func newDesk(t *testing.T) (d *desk, public string) {
	t.Helper()
	d = &desk{t: t, host: newReferrers(t)}
	d.private, public = newSigner(t, "ECDSA P-256")
	return d, public
}

// image pushes one that has no statement.
func (d *desk) image() image.Reference {
	d.t.Helper()
	where := d.host + "/team/app"
	_, digest := pushTo(d.t, where+":1")
	ref, err := image.ParseReference(where + "@" + digest)
	if err != nil {
		d.t.Fatal(err)
	}
	return ref
}

// attach attaches the statement of a verdict of some time ago, in which texts were replaced.
func (d *desk) attach(ref image.Reference, ago time.Duration, edits ...string) {
	d.t.Helper()
	raw, err := os.ReadFile(d.private)
	if err != nil {
		d.t.Fatal(err)
	}
	ring, err := attestation.ParseRing(map[string][]byte{filepath.Base(d.private): raw})
	if err != nil {
		d.t.Fatal(err)
	}
	key, ok := ring.Current(time.Now())
	if !ok {
		d.t.Fatal("no key signs")
	}
	e := &v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{Namespace: "image-verification", Name: "app"}}
	e.Spec.Trigger.Name, e.Spec.Repository.Pull, e.Spec.Digest = "all", ref.Repository().String(), ref.Digest().String()
	at := metav1.NewTime(time.Now().Add(-ago).Truncate(time.Second))
	e.Status.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "app-1", At: at}
	s, err := attestation.Make(e, attestation.Verifier{ID: attestation.DefaultVerifierID, Cluster: "prod-1"})
	if err != nil {
		d.t.Fatal(err)
	}
	before := string(s.Payload)
	s.Payload = []byte(strings.NewReplacer(edits...).Replace(before))
	if len(edits) > 0 && string(s.Payload) == before {
		d.t.Fatalf("%q changes nothing in %s", edits, before)
	}
	b, err := attestation.Sign(d.t.Context(), s, key)
	if err != nil {
		d.t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{d.host})
	if err != nil {
		d.t.Fatal(err)
	}
	to, err := publish.NewRegistry(ref.Repository(), fetch.Options{Trust: trust})
	if err != nil {
		d.t.Fatal(err)
	}
	subject, err := to.Describe(d.t.Context(), ref.Digest())
	if err != nil {
		d.t.Fatal(err)
	}
	d.n++
	_, err = to.Push(d.t.Context(), publish.Artifact{
		Subject: subject, Type: sigstore.BundleType, Content: b.Content, Title: "verdict.sigstore.json",
		Kind: strconv.Itoa(d.n), Annotations: s.Annotations(),
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// Property: the published policy refuses a statement by the right key that says anything other
// than what is expected, that lacks it, or that is compared with nothing; and it says why.
func TestThePublishedPolicyRefuses(t *testing.T) {
	d, public := newDesk(t)
	here := []string{"registry.example.com", d.host}
	for _, row := range []struct {
		name string
		// ago is the age of the verdict, if not a minute.
		ago time.Duration
		// said is replaced in the statement, and values in expected.rego.
		said, values []string
		// want is the only reason; empty accepts.
		want string
	}{
		{name: "what is expected"},
		{name: "a verdict that is just young enough", ago: 24*time.Hour - 2*time.Minute},
		{name: "a clock that is a little ahead", ago: -4 * time.Minute},
		{name: "a repository below the one that is expected", values: []string{"/team/app", "/team/"}},
		{name: "a fail", said: []string{`"PASSED"`, `"FAILED"`}, want: "its result is FAILED"},
		{name: "no result", said: []string{`"verificationResult"`, `"x"`}, want: "its result is nothing"},
		{
			name: "another repository", values: []string{"/team/app", "/team/ap"},
			want: "it is about an image in oci://" + d.host + "/team/app",
		},
		{
			name: "no repository", said: []string{`"resourceUri"`, `"x"`},
			want: "it is about an image in nothing",
		},
		{
			name: "another trigger", said: []string{"imagetriggers/all", "imagetriggers/any"},
			want: "it follows the policy " + policyAny,
		},
		{name: "no policy", said: []string{`"policy"`, `"x"`}, want: "it follows the policy nothing"},
		{
			name: "another verifier", values: []string{"revet.dev/attestor", "example.com/attestor"},
			want: "it is by the verifier https://revet.dev/attestor",
		},
		{name: "no verifier", said: []string{`"verifier"`, `"x"`}, want: "it is by the verifier nothing"},
		{name: "an old verdict", ago: 24*time.Hour + time.Minute, want: "it is too old: of TIME"},
		{name: "one of the future", ago: -7 * time.Minute, want: "it is of the future: of TIME"},
		{
			name: "a level that is not claimed", values: []string{`"REVET_PASSED"`, `"REVET_PASSED", "X"`},
			want: `it claims only ["REVET_PASSED"]`,
		},
		{name: "no levels", said: []string{`"verifiedLevels"`, `"x"`}, want: "it claims only nothing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d.t = t
			ref := d.image()
			d.attach(ref, cmp.Or(row.ago, time.Minute), row.said...)
			c := newConsumer(t, public, append(here, row.values...)...)
			if row.want == "" {
				c.accepts("it", ref.String())
				return
			}
			c.refuses("it", ref.String(), only(row.want))
		})
	}
}

// Property: what says no time is neither young nor past, and what is compared with nothing is
// refused for every reason that compares.
func TestThePublishedPolicyRefusesWhatIsMissing(t *testing.T) {
	d, public := newDesk(t)
	timeless, whole := d.image(), d.image()
	d.attach(timeless, time.Minute, `"timeVerified"`, `"x"`)
	d.attach(whole, time.Minute)
	c := newConsumer(t, public, "registry.example.com", d.host)
	c.refuses("a statement without a time", timeless.String(),
		only("it is of the future: of nothing it is too old: of nothing"))
	c.accepts("a whole statement", whole.String())
	if err := os.WriteFile(filepath.Join(c.policy, "expected.rego"), []byte("package expected\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := c.verify(whole.String())
	for _, reason := range []string{"an image in", "follows the policy", "by the verifier", "is too old", "claims"} {
		if !strings.Contains(said, reason) {
			t.Errorf("without expectations %q is no reason: %q", reason, said)
		}
	}
}

// cosign wants every statement by the key to satisfy the policy, which docs/attestations.md
// says: a trigger that is not expected, or an older verdict about another index, refuses the
// image. A stranger's statement does not.
func TestCosignWantsEveryStatementToHold(t *testing.T) {
	d, public := newDesk(t)
	ref := d.image()
	d.attach(ref, time.Minute)
	d.attach(ref, time.Minute, "imagetriggers/all", "imagetriggers/any")
	stranger, _ := newDesk(t)
	stranger.host = d.host
	stranger.n = 10
	stranger.attach(ref, time.Minute, `"PASSED"`, `"FAILED"`)
	here := []string{"registry.example.com", d.host}
	newConsumer(t, public, here...).refuses("two triggers, of which one is expected", ref.String(),
		only("it follows the policy "+policyAny))
	const all = `"` + policyAll + `"`
	newConsumer(t, public, here[0], here[1], all, all+`, "`+policyAny+`"`).accepts("two triggers, both expected", ref.String())
}
