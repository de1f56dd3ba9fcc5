package attestation

import "time"

const (
	// PredicateType is that of a verification summary.
	PredicateType = "https://slsa.dev/verification_summary/v1"
	// Extension is the field of the predicate that holds what SLSA has no word for.
	Extension = "https://revet.dev/vsa/v1"
	// slsaVersion is the version of the specification that the predicate follows.
	slsaVersion = "1.2"
	// passed is the only result that Revet signs.
	passed = "PASSED"
	// levelSandboxed is claimed of a run whose Pods all had the RuntimeClass that was asked for.
	levelSandboxed = "REVET_SANDBOXED"
)

// Summary is the predicate.
type Summary struct {
	Verifier struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	} `json:"verifier"`
	// TimeVerified is the time of the verdict, and not that of the signature.
	TimeVerified time.Time `json:"timeVerified"`
	// ResourceURI is the image's repository, as oci://host/path.
	ResourceURI       string     `json:"resourceUri"`
	Policy            Resource   `json:"policy"`
	InputAttestations []Resource `json:"inputAttestations,omitempty"`
	Result            string     `json:"verificationResult"`
	VerifiedLevels    []string   `json:"verifiedLevels"`
	SLSAVersion       string     `json:"slsaVersion,omitempty"`
	Looked            Looked     `json:"https://revet.dev/vsa/v1"`
}

// Resource is something that a summary names.
type Resource struct {
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// Looked says for whom the verdict was made, and what was looked at.
type Looked struct {
	// Cluster names the cluster that verified: the audience.
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Trigger   string `json:"trigger"`
	Run       string `json:"run"`
	// Checks looked at the image; Off were switched off.
	Checks []string `json:"checks"`
	Off    []string `json:"off"`
	// Platforms were looked at; Unselected images of the index were not.
	Platforms        []string  `json:"platforms"`
	PlatformsOmitted int32     `json:"platformsOmitted"`
	Unselected       int32     `json:"unselected"`
	Database         *Database `json:"database,omitempty"`
	// Inventory is the digest of the list of packages that was judged.
	Inventory string  `json:"inventory,omitempty"`
	Sandbox   Sandbox `json:"sandbox"`
}

// Database is the vulnerability database that was used.
type Database struct {
	Digest string     `json:"digest"`
	AsOf   *time.Time `json:"asOf,omitempty"`
}

// Sandbox is the RuntimeClass that was asked for and those that the Pods had.
type Sandbox struct {
	Requested string   `json:"requested"`
	Observed  []string `json:"observed"`
}
