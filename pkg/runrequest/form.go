package runrequest

import (
	"encoding/json"
	"regexp"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// The fields of a podTemplate by which a run is put into a class, or none.
const (
	ClassField     = "runtimeClassName"
	SchedulerField = "schedulerName"
	// DefaultScheduler is the one value that SchedulerField takes: what Pods have anyway.
	DefaultScheduler = "default-scheduler"
)

// form is what a listener splices into a PipelineRun. Other fields of a request are the words of
// others, and a template has to quote them.
type form struct {
	Run      string `json:"run"`
	EntryUID string `json:"entryUID"`
	Image    struct {
		Reference string `json:"reference"`
		Digest    string `json:"digest"`
	} `json:"image"`
	Sandbox struct {
		RuntimeClassName *string      `json:"runtimeClassName"`
		PodField         *string      `json:"podField"`
		PodValue         *string      `json:"podValue"`
		NodeLabel        *string      `json:"nodeLabel"`
		NodeLabelValue   *string      `json:"nodeLabelValue"`
		RunTimeout       *string      `json:"runTimeout"`
		Tolerations      []toleration `json:"tolerations"`
	} `json:"sandbox"`
}

type toleration struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
	Effect   string `json:"effect"`
}

var (
	runName    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	uid        = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	className  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	labelKey   = regexp.MustCompile(`^([a-z0-9.-]{1,253}/)?[A-Za-z0-9_.-]{1,63}$`)
	labelValue = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,63}$`)
	operator   = regexp.MustCompile(`^(Equal|Exists)$`)
	effect     = regexp.MustCompile(`^(NoSchedule|PreferNoSchedule|NoExecute)?$`)
)

// CheckForm returns nil for a body that the controller may have written. Any other error is a
// *Refusal, and names the field.
func CheckForm(body []byte) error {
	var f form
	if err := json.Unmarshal(body, &f); err != nil {
		return refuse(WrongForm, "the body is not a request: %v", err)
	}
	if err := f.checkRun(); err != nil {
		return err
	}
	if err := f.checkClass(); err != nil {
		return err
	}
	return f.checkNodes()
}

func (f *form) checkRun() error {
	if !runName.MatchString(f.Run) {
		return refuse(WrongForm, "run %q is not the name of a run", image.Cut(f.Run, 80))
	}
	if !uid.MatchString(f.EntryUID) {
		return refuse(WrongForm, "entryUID %q is not a UID", image.Cut(f.EntryUID, 80))
	}
	reference, err := image.ParseReference(f.Image.Reference)
	if err != nil {
		return refuse(WrongForm, "image.reference: %v", err)
	}
	if f.Image.Digest != reference.Digest().String() {
		return refuse(WrongForm, "image.digest %q is not that of image.reference", image.Cut(f.Image.Digest, 80))
	}
	if t := f.Sandbox.RunTimeout; t != nil {
		if d, err := time.ParseDuration(*t); err != nil || d <= 0 {
			return refuse(WrongForm, "sandbox.runTimeout %q is not a time", image.Cut(*t, 80))
		}
	}
	return nil
}

// checkClass holds podField to its two values.
func (f *form) checkClass() error {
	s := f.Sandbox
	class := valueOf(s.RuntimeClassName)
	if s.RuntimeClassName != nil && !className.MatchString(class) {
		return refuse(WrongForm, "sandbox.runtimeClassName %q is not the name of a RuntimeClass", image.Cut(class, 80))
	}
	field, value := valueOf(s.PodField), valueOf(s.PodValue)
	switch {
	case s.PodField == nil && s.PodValue == nil && class == "":
	case field == ClassField && value == class && class != "":
	case field == SchedulerField && value == DefaultScheduler && class == "":
	default:
		return refuse(WrongForm, "sandbox.podField is %q with the value %q, and takes %s with the trigger's RuntimeClass, or %s with %s",
			image.Cut(field, 80), image.Cut(value, 80), ClassField, SchedulerField, DefaultScheduler)
	}
	return nil
}

func (f *form) checkNodes() error {
	s := f.Sandbox
	if (s.NodeLabel == nil) != (s.NodeLabelValue == nil) && s.NodeLabel == nil {
		return refuse(WrongForm, "sandbox.nodeLabelValue is there without sandbox.nodeLabel")
	}
	if s.NodeLabel != nil && (!labelKey.MatchString(*s.NodeLabel) || !labelValue.MatchString(valueOf(s.NodeLabelValue))) {
		return refuse(WrongForm, "sandbox.nodeLabel %q is not a label, or its value is none", image.Cut(*s.NodeLabel, 80))
	}
	for _, t := range s.Tolerations {
		if (t.Key != "" && !labelKey.MatchString(t.Key)) || !operator.MatchString(t.Operator) || !labelValue.MatchString(t.Value) || !effect.MatchString(t.Effect) {
			return refuse(WrongForm, "sandbox.tolerations has one with the key %q that is no toleration", image.Cut(t.Key, 80))
		}
	}
	return nil
}

func valueOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
