package lifecycle

import "time"

// Lookup says whether a run exists, as far as is known. The zero value is "nobody looked".
type Lookup int

// The results of a lookup.
const (
	NotLooked Lookup = iota
	// Absent: the API server has no PipelineRun of that name. A cache cannot say so.
	Absent
	// Found: the PipelineRun exists.
	Found
)

// PodsState says whether the Pods of a run have started. The zero value is "nobody looked".
type PodsState int

// The states of a run's Pods.
const (
	PodsNotInspected PodsState = iota
	PodsStarted
	PodsNotStarted
)

// RunObservation is what was observed of a run.
type RunObservation struct {
	// Name is the name that was looked for.
	Name   string
	Lookup Lookup
	// Run is the PipelineRun, if it was found.
	Run PipelineRun
	// Compared is the UID of the PipelineRun that was compared with what the trigger's
	// listener makes of the run's request, as far as that can be known; empty if none was.
	// Differs says where it is something else; empty if it is not.
	Compared, Differs string
	// LabelChecked is true once the API server was asked for PipelineRuns that have the
	// run's label under another name; OtherName is one, or empty if there is none.
	LabelChecked bool
	OtherName    string
	// Pods says whether the Pods have started, and StartFailure why they have not.
	Pods         PodsState
	StartFailure string
}

// PipelineRun is what a decision needs to know of a Tekton PipelineRun.
type PipelineRun struct {
	Name string
	UID  string
	// RunLabel, EntryUID and Digest are what the label and the annotations claim.
	RunLabel string
	EntryUID string
	Digest   string

	// Started and Finished are zero until the run has.
	Started  time.Time
	Finished time.Time
	// Done is true once the run succeeded or failed for good.
	Done      bool
	Succeeded bool
	Reason    string
	Message   string
	// Results are the results that are strings.
	Results map[string]string
}

// Pod is what a decision needs to know of a Pod of a run.
type Pod struct {
	Name string
	// RuntimeClass is empty for none.
	RuntimeClass string
	Node         string
	// Overhead is what the RuntimeClass adds to the Pod's resources.
	Overhead map[string]string
	// Started is true once any container has.
	Started bool
	// Waiting is why none has, as far as is known.
	Waiting string
	// Failure is what the first failed container says; empty if none failed.
	Failure string
	// Error is the result "error" of that container; empty if it wrote none.
	Error string
}
