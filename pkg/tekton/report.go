package tekton

import "github.com/revet-dev/revet/pkg/source"

// FindingReason says what is wrong with what a sink starts.
type FindingReason string

// The reasons of a finding. The zero value is invalid.
const (
	// NotCheckable: Revet cannot inspect the sink, or a part of it.
	NotCheckable FindingReason = "NotCheckable"
	// TriggerNotFound: the listener names a Trigger that does not exist.
	TriggerNotFound FindingReason = "TriggerNotFound"
	// BindingNotFound: a trigger names a binding that does not exist.
	BindingNotFound FindingReason = "BindingNotFound"
	// TemplateNotFound: a trigger names a TriggerTemplate that does not exist.
	TemplateNotFound FindingReason = "TemplateNotFound"
	// ParamUnresolved: a binding reads what a request does not have.
	ParamUnresolved FindingReason = "ParamUnresolved"
	// TemplateUnreadable: with its parameters substituted, the template is no object.
	TemplateUnreadable FindingReason = "TemplateUnreadable"
	// ListenerTooLarge: what the listener's triggers hold or make is beyond Revet's bounds.
	ListenerTooLarge FindingReason = "ListenerTooLarge"
	// NoTrigger: the listener has no trigger at all.
	NoTrigger FindingReason = "NoTrigger"
	// NoPipelineRun: no template makes a PipelineRun.
	NoPipelineRun FindingReason = "NoPipelineRun"
	// TaskRunNotSupported: a template makes a TaskRun instead of a PipelineRun.
	TaskRunNotSupported FindingReason = "TaskRunNotSupported"
	// GenerateName: the PipelineRun gets a new name for every request.
	GenerateName FindingReason = "GenerateName"
	// NameNotRun: the PipelineRun's name is not the run's.
	NameNotRun FindingReason = "NameNotRun"
	// LabelMissing: label revet.dev/run is not the run's name.
	LabelMissing FindingReason = "LabelMissing"
	// AnnotationMissing: an annotation that identifies the entry or the digest is missing.
	AnnotationMissing FindingReason = "AnnotationMissing"
	// OtherNamespace: the template puts the PipelineRun into another namespace.
	OtherNamespace FindingReason = "OtherNamespace"
	// ImageUnused: the PipelineRun gets neither the image's reference nor its digest.
	ImageUnused FindingReason = "ImageUnused"
	// NotLastTemplate: another resource comes after the PipelineRun.
	NotLastTemplate FindingReason = "NotLastTemplate"
	// EarlierTemplateBlocks: a resource before the PipelineRun has the same name every time.
	EarlierTemplateBlocks FindingReason = "EarlierTemplateBlocks"
	// RunsMoreThanOnce: one request starts several runs.
	RunsMoreThanOnce FindingReason = "RunsMoreThanOnce"
	// SandboxNotInTemplate: the PipelineRun's Pods do not get the requested class.
	SandboxNotInTemplate FindingReason = "SandboxNotInTemplate"
	// NodesNotInTemplate: they do not get the trigger's nodeSelector or toleration.
	NodesNotInTemplate FindingReason = "NodesNotInTemplate"
	// TimeoutNotInTemplate: the PipelineRun does not get the trigger's runTimeout.
	TimeoutNotInTemplate FindingReason = "TimeoutNotInTemplate"
	// ListenerNotReady: the listener has an address, and reports that it is not ready.
	// It is a warning: the report may be old, and a request will show.
	ListenerNotReady FindingReason = "ListenerNotReady"
	// InterceptorsNotChecked: Revet cannot know what interceptors let through. A warning.
	InterceptorsNotChecked FindingReason = "InterceptorsNotChecked"
	// RequestsNotAuthenticated: the listener takes requests from whoever reaches it. A warning.
	RequestsNotAuthenticated FindingReason = "RequestsNotAuthenticated"
	// InterceptorNotFound: the listener asks Revet's own interceptor, which is not there.
	InterceptorNotFound FindingReason = "InterceptorNotFound"
)

// Finding is one thing that is wrong, or that Revet cannot know.
type Finding struct {
	Reason FindingReason
	// Message names the object, the cause and the cure.
	Message string
	// Refuses means that no request may be sent. Otherwise the finding is a warning.
	Refuses bool
}

// Report is what Check found. The zero value means that nothing was checked: such a sink
// is neither accepted nor confirmable.
type Report struct {
	// Checked is false for a sink that Revet cannot inspect. Findings then hold one
	// NotCheckable that says why.
	Checked  bool
	Findings []Finding
	// Runners are the service accounts that create the PipelineRun.
	Runners []source.Account
	// RunAccounts are the service accounts that the PipelineRun's tasks run as. It is
	// empty if no PipelineRun was made. An account without a name is Tekton's default,
	// which its operator configures and Revet does not know.
	RunAccounts []source.Account
}

// Refusal returns the first finding that refuses the sink, if there is one.
func (r Report) Refusal() (Finding, bool) {
	for _, f := range r.Findings {
		if f.Refuses {
			return f, true
		}
	}
	return Finding{}, false
}

// Confirmable reports whether a request may be sent again: the sink names what it starts
// after the run, so a second request starts nothing.
func (r Report) Confirmable() bool {
	_, refused := r.Refusal()
	return r.Checked && !refused
}
