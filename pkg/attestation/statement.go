package attestation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// ErrNotPassed means that there is no verdict that may be stated.
var ErrNotPassed = errors.New("only a verdict \"pass\" is ever signed")

// DefaultVerifierID names the verifier where the operator chose no other.
const DefaultVerifierID = "https://revet.dev/attestor"

// Verifier is who states a verdict.
type Verifier struct {
	// ID is the URI by which consumers know the verifier.
	ID string
	// Version is that of the program.
	Version string
	// Cluster names the cluster.
	Cluster string
}

// Statement is what is signed.
type Statement struct {
	// Payload is an in-toto statement.
	Payload []byte
	// Repository holds the images that the statement is about.
	Repository image.Repository
	// Subjects are their digests: first the entry's, then those images of its index that the
	// run is known to have looked at.
	Subjects []image.Digest
	// At is the time of the verdict.
	At time.Time
	// Policy is the URI of the policy. Beside one image there is one statement of a policy.
	Policy string
}

// Make returns the statement of an entry's verdict, or ErrNotPassed.
func Make(e *v1alpha1.ImageVerification, by Verifier) (Statement, error) {
	v := e.Status.Verdict
	if v == nil || v.Outcome != v1alpha1.OutcomePass {
		return Statement{}, ErrNotPassed
	}
	if by.ID == "" || by.Cluster == "" {
		return Statement{}, errors.New("the verifier has no id, or its cluster has no name")
	}
	ref, err := image.ParseReference(e.Spec.Repository.Pull + "@" + e.Spec.Digest)
	if err != nil {
		return Statement{}, fmt.Errorf("the entry %q: %w", e.Name, err)
	}
	subjects, err := subjectsOf(e, ref.Digest())
	if err != nil {
		return Statement{}, err
	}
	policy := PolicyURI(by.Cluster, e.Namespace, e.Spec.Trigger.Name)
	payload, err := encode(ref.Repository(), subjects, summaryOf(e, by, ref.Repository(), policy))
	if err != nil {
		return Statement{}, err
	}
	return Statement{Payload: payload, Repository: ref.Repository(), Subjects: subjects, At: v.At.UTC(), Policy: policy}, nil
}

// PolicyURI names what decided: the trigger, in its cluster.
func PolicyURI(cluster, namespace, trigger string) string {
	if !strings.Contains(cluster, "://") {
		cluster = "revet://" + cluster
	}
	return strings.TrimSuffix(cluster, "/") + "/namespaces/" + namespace + "/imagetriggers/" + trigger
}

// ResourceURI names a repository.
func ResourceURI(r image.Repository) string { return "oci://" + r.String() }

// subjectsOf returns what the verdict speaks of. The same rule says what a gate admits.
func subjectsOf(e *v1alpha1.ImageVerification, root image.Digest) ([]image.Digest, error) {
	subjects := []image.Digest{root}
	children := gate.ChildrenOf(e)
	for i := range children {
		if !gate.LookedAt(e.Status.Verdict, &children[i]) {
			continue
		}
		d, err := image.ParseDigest(children[i].Digest)
		if err != nil {
			return nil, fmt.Errorf("the entry %q: %w", e.Name, err)
		}
		if !slices.Contains(subjects, d) {
			subjects = append(subjects, d)
		}
	}
	return subjects, nil
}

func summaryOf(e *v1alpha1.ImageVerification, by Verifier, r image.Repository, policy string) Summary {
	v := e.Status.Verdict
	s := Summary{
		TimeVerified: v.At.UTC(), ResourceURI: ResourceURI(r), Policy: Resource{URI: policy, Digest: digestSet(v.PolicyDigest)},
		InputAttestations: inputsOf(e), Result: passed, VerifiedLevels: levelsOf(v), SLSAVersion: slsaVersion,
		Looked: Looked{
			Cluster: by.Cluster, Namespace: e.Namespace, Trigger: e.Spec.Trigger.Name, Run: v.Run,
			Checks: listed(v.Checks), Off: listed(v.Off),
			Platforms: listed(v.Platforms), PlatformsOmitted: v.PlatformsOmitted, Unselected: v.Unselected,
			Sandbox: Sandbox{Requested: v.Sandbox.Requested, Observed: listed(v.Sandbox.Observed)},
		},
	}
	s.Verifier.ID = by.ID
	if by.Version != "" {
		s.Verifier.Version = map[string]string{"revet": by.Version}
	}
	if d := v.Database; d != nil {
		s.Looked.Database = &Database{Digest: d.Digest}
		if d.AsOf != nil {
			at := d.AsOf.UTC()
			s.Looked.Database.AsOf = &at
		}
	}
	if v.Inventory != nil {
		s.Looked.Inventory = v.Inventory.Digest
	}
	return s
}

// levelsOf says what a consumer may ask for in one word each. SLSA lets verifiers use words of
// their own that do not begin with SLSA_.
func levelsOf(v *v1alpha1.Verdict) []string {
	levels := []string{"REVET_PASSED"}
	if gate.Sandboxed(v.Sandbox) {
		levels = append(levels, levelSandboxed)
	}
	for _, check := range v.Checks {
		if !slices.Contains(v.Off, check) {
			levels = append(levels, "REVET_CHECK_"+word(check))
		}
	}
	slices.Sort(levels[1:])
	return slices.Compact(levels)
}

func word(check string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToUpper(check))
}

// inputsOf names the report and the inventory of the verdict's run, where they are stored.
func inputsOf(e *v1alpha1.ImageVerification) []Resource {
	var inputs []Resource
	add := func(reference string) {
		if ref, err := image.ParseReference(reference); err == nil {
			inputs = append(inputs, Resource{URI: "oci://" + ref.String(), Digest: digestSet(ref.Digest().String())})
		}
	}
	for i := range e.Status.Runs {
		if run := &e.Status.Runs[i]; run.Name == e.Status.Verdict.Run {
			add(run.Report)
		}
	}
	if v := e.Status.Verdict.Inventory; v != nil {
		add(v.Reference)
	}
	return inputs
}

// digestSet returns a digest as in-toto writes it; nil for what is none.
func digestSet(digest string) map[string]string {
	d, err := image.ParseDigest(digest)
	if err != nil {
		return nil
	}
	return map[string]string{"sha256": d.Hex()}
}

// listed keeps an empty list from being written as null.
func listed(all []string) []string { return append([]string{}, all...) }

func encode(r image.Repository, subjects []image.Digest, s Summary) ([]byte, error) {
	type subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	about := make([]subject, len(subjects))
	for i, d := range subjects {
		about[i] = subject{r.String(), map[string]string{"sha256": d.Hex()}}
	}
	raw, err := json.Marshal(struct {
		Type          string    `json:"_type"`
		Subject       []subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     Summary   `json:"predicate"`
	}{sigstore.StatementType, about, PredicateType, s})
	if err != nil {
		return nil, fmt.Errorf("encode the statement: %w", err)
	}
	return raw, nil
}
