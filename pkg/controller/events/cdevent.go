package events

import (
	"encoding/json"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// specVersion is the version of CDEvents.
const specVersion = "0.5.1"

// The types of the events.
const (
	TypePublished = "dev.cdevents.artifact.published.0.3.0"
	TypeQueued    = "dev.cdevents.testsuiterun.queued.0.3.0"
	TypeStarted   = "dev.cdevents.testsuiterun.started.0.3.0"
	TypeFinished  = "dev.cdevents.testsuiterun.finished.0.3.0"
	TypeDetected  = "dev.cdevents.incident.detected.0.3.0"
	TypeResolved  = "dev.cdevents.incident.resolved.0.3.0"
)

// cdEvent is a CDEvent as JSON.
type cdEvent struct {
	Context               cdContext   `json:"context"`
	Subject               cdSubject   `json:"subject"`
	CustomData            *customData `json:"customData,omitempty"`
	CustomDataContentType string      `json:"customDataContentType,omitempty"`
}

type cdContext struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Timestamp   time.Time `json:"timestamp"`
	// ChainID is the entry's UID: all events of one entry are one chain. What turns behind a
	// gate has none.
	ChainID string `json:"chainId,omitempty"`
}

type cdSubject struct {
	ID      string  `json:"id"`
	Source  string  `json:"source,omitempty"`
	Content content `json:"content"`
}

// content holds the fields of all types; each leaves out the others'.
type content struct {
	Description string     `json:"description,omitempty"`
	ArtifactID  string     `json:"artifactId,omitempty"`
	Environment *reference `json:"environment,omitempty"`
	TestSuite   *testSuite `json:"testSuite,omitempty"`
	Trigger     *trigger   `json:"trigger,omitempty"`
	Outcome     string     `json:"outcome,omitempty"`
	Reason      string     `json:"reason,omitempty"`
}

type reference struct {
	ID string `json:"id"`
}

type testSuite struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

type trigger struct {
	Type string `json:"type"`
}

// customData is what CDEvents have no field for.
type customData struct {
	// Image is what was pushed: host/repository@digest.
	Image string `json:"image"`
	// Verdict is the run's outcome: pass, fail or error.
	Verdict string `json:"verdict,omitempty"`
	Message string `json:"message,omitempty"`
	// Summary is the pipeline's, as it is if it is JSON.
	Summary json.RawMessage `json:"summary,omitempty"`
	Report  string          `json:"report,omitempty"`
	// PolicyDigest is what the verdict of this run was decided by, where that still counts.
	PolicyDigest string `json:"policyDigest,omitempty"`
	// RuntimeClasses are those that the run's Pods had.
	RuntimeClasses []string `json:"runtimeClasses,omitempty"`
	// Gate, From, To and Pod are those of a turn; Pod is namespace/name of one that runs it.
	Gate string `json:"gate,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Pod  string `json:"pod,omitempty"`
}

// packageURL names an image as https://github.com/package-url/purl-spec does.
func packageURL(repository, digest, tag string) string {
	name := strings.ToLower(path.Base(repository))
	u := "pkg:oci/" + url.PathEscape(name) + "@" + url.QueryEscape(digest) + "?repository_url=" + url.QueryEscape(repository)
	if tag != "" {
		u += "&tag=" + url.QueryEscape(tag)
	}
	return u
}

// outcomeOf translates Revet's word into CDEvents'. What is unknown is an error.
func outcomeOf(o v1alpha1.Outcome) string {
	switch o {
	case v1alpha1.OutcomePass:
		return "success"
	case v1alpha1.OutcomeFail:
		return "failure"
	case v1alpha1.OutcomeError:
		return "error"
	default:
		return "error"
	}
}
