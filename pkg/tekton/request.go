package tekton

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/runrequest"
)

// RequestType is the CloudEvent type of a request.
const RequestType = "dev.revet.verification.requested.v1"

// Request asks a sink for one run.
type Request struct {
	// Source is the path of the ImageTrigger that asks.
	Source string
	// Tag is the tag of the push that is the cause, or the newest one.
	Tag  string
	Data RequestData
	// signedFor is the namespace for which it is signed when it is sent, or "".
	signedFor string
}

// RequestData is the request's JSON. Only fields of sandbox may be left out.
type RequestData struct {
	Run      string `json:"run"`
	EntryUID string `json:"entryUID"`
	// Cause is the type of the cause, and CauseKey identifies it among causes of the
	// type. They are strings, not an object, because splicing an object into a template
	// makes invalid JSON.
	Cause    string          `json:"cause"`
	CauseKey string          `json:"causeKey"`
	Image    RequestImage    `json:"image"`
	Source   string          `json:"source"`
	Sandbox  RequestSandbox  `json:"sandbox"`
	Previous RequestPrevious `json:"previous"`
}

// RequestImage is what Revet knows of the image.
type RequestImage struct {
	// Reference is host/repository@digest: what to pull.
	Reference string `json:"reference"`
	// Repository is namespace/name of an ImageStream, or host/path.
	Repository string            `json:"repository"`
	Digest     string            `json:"digest"`
	Tags       []string          `json:"tags"`
	MediaType  string            `json:"mediaType"`
	Platforms  []string          `json:"platforms"`
	Labels     map[string]string `json:"labels"`
	// Created is RFC 3339, or empty.
	Created string `json:"created"`
	Size    int64  `json:"size"`
	Base    string `json:"base"`
}

// RequestSandbox says where the run's Pods execute. A template can splice only strings, so
// each field that it needs is a string, and is left out where the default of the
// template's parameter applies.
type RequestSandbox struct {
	// RuntimeClassName is left out if the run has none. The API server would refuse
	// Pods with an empty one.
	RuntimeClassName string `json:"runtimeClassName,omitempty"`
	// PodField and PodValue are a field of the podTemplate and its value:
	// runtimeClassName and the class; or, for a run that goes around the trigger's
	// class, schedulerName and the name that it has anyway, as a field cannot be
	// left out of a template. Both are left out if the trigger names no class.
	PodField string `json:"podField,omitempty"`
	PodValue string `json:"podValue,omitempty"`
	// NodeLabel and NodeLabelValue are the trigger's nodeSelector.
	NodeLabel      string              `json:"nodeLabel,omitempty"`
	NodeLabelValue string              `json:"nodeLabelValue,omitempty"`
	Tolerations    []RequestToleration `json:"tolerations"`
	// RunTimeout is how long the run may take, as 30m0s.
	RunTimeout string `json:"runTimeout,omitempty"`
}

// RequestToleration is a toleration of which no field is left out.
type RequestToleration struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
	Effect   string `json:"effect"`
}

// newRequestSandbox asks for a class. Without one, around says whether the trigger names
// a class that this run goes around.
func newRequestSandbox(s v1alpha1.Sandbox, class string, around bool) RequestSandbox {
	r := RequestSandbox{RuntimeClassName: class, Tolerations: []RequestToleration{}}
	switch {
	case class != "":
		r.PodField, r.PodValue = runrequest.ClassField, class
	case around:
		r.PodField, r.PodValue = runrequest.SchedulerField, runrequest.DefaultScheduler
	}
	for label, value := range s.NodeSelector { // one at most
		r.NodeLabel, r.NodeLabelValue = label, string(value)
	}
	for _, t := range s.Tolerations {
		r.Tolerations = append(r.Tolerations, RequestToleration{t.Key, cmp.Or(t.Operator, string(corev1.TolerationOpEqual)), string(t.Value), t.Effect})
	}
	if s.RunTimeout != nil {
		r.RunTimeout = s.RunTimeout.Duration.String()
	}
	return r
}

// RequestPrevious is the latest verdict on another digest, where one is known.
type RequestPrevious struct {
	Digest  string `json:"digest"`
	Verdict string `json:"verdict"`
}

// NewRequest makes the request for a run of an entry. An error is permanent: the entry
// holds what can never be sent.
func NewRequest(trigger *v1alpha1.ImageTrigger, entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) (Request, error) {
	repository, err := image.ParseRepository(entry.Spec.Repository.Pull)
	if err != nil {
		return Request{}, fmt.Errorf("making a request of entry %q: %w", entry.Name, err)
	}
	digest, err := image.ParseDigest(entry.Spec.Digest)
	if err != nil {
		return Request{}, fmt.Errorf("making a request of entry %q: %w", entry.Name, err)
	}
	data := RequestData{
		Run:      run.Name,
		EntryUID: string(entry.UID),
		Cause:    string(run.Cause.Type),
		CauseKey: run.Cause.Key,
		Image: RequestImage{
			Reference:  repository.At(digest).String(),
			Repository: entry.Spec.Repository.Name,
			Digest:     digest.String(),
			Tags:       entry.TagNames(),
			Platforms:  []string{},
			Labels:     map[string]string{},
		},
		Source:  string(entry.Spec.FirstPush.Source),
		Sandbox: newRequestSandbox(trigger.Spec.Sandbox, run.Sandbox.Requested, run.Sandbox.Route != ""),
	}
	data.Image.addFacts(entry.ImageFacts())
	return Request{
		Source: SourcePath(trigger.Namespace, trigger.Name),
		Tag:    entry.RunTag(run),
		Data:   data,
	}, nil
}

// SourcePath is the path of an ImageTrigger on the API server.
func SourcePath(namespace, name string) string {
	return "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + namespace + "/imagetriggers/" + name
}

func (i *RequestImage) addFacts(facts *v1alpha1.ImageFacts) {
	if facts == nil {
		return
	}
	i.MediaType, i.Size, i.Base = facts.MediaType, facts.Size, facts.Base
	if facts.Platforms != nil {
		i.Platforms = facts.Platforms
	}
	if facts.Labels != nil {
		i.Labels = facts.Labels
	}
	if facts.Created != nil {
		i.Created = facts.Created.UTC().Format(time.RFC3339)
	}
}
