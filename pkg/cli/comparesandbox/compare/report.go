package compare

import "time"

// State is that of the step images on the node as a run begins.
type State string

const (
	// Warm says that the node has them.
	Warm State = "warm"
	// Cold says that it has to pull them.
	Cold State = "cold"
)

// Report is a comparison on one node.
type Report struct {
	// Image is what the runs verified, as host/repository@digest.
	Image string `json:"image"`
	// Trigger is namespace/name of the ImageTrigger whose pipeline ran.
	Trigger string    `json:"trigger"`
	Node    Node      `json:"node"`
	Began   time.Time `json:"began"`
	// Classes are in the order in which they were asked for. Ratios are to the last.
	Classes []Class `json:"classes"`
	// Notes are what a reader has to know beside the figures.
	Notes []string `json:"notes,omitempty"`
}

// Node is where everything ran.
type Node struct {
	Name             string `json:"name"`
	CPUs             int64  `json:"cpus"`
	MemoryBytes      int64  `json:"memoryBytes"`
	KernelVersion    string `json:"kernelVersion"`
	ContainerRuntime string `json:"containerRuntime"`
	CgroupVersion    int    `json:"cgroupVersion"`
}

// Class is one RuntimeClass.
type Class struct {
	// Name is what it was asked for by: "default" is the cluster's own runtime.
	Name string `json:"name"`
	// Handler is what serves it on nodes; empty for "default".
	Handler string `json:"handler,omitempty"`
	// Overhead is what the scheduler adds to each Pod, by resource.
	Overhead map[string]string `json:"overhead,omitempty"`
	Runs     []Run             `json:"runs"`
	// Summary is over the runs of each state, by the name that a measure has in Run.
	Summary map[State]map[string]Spread `json:"summary"`
}

// Run is what one PipelineRun took. What the node does not tell is left out.
type Run struct {
	Number int    `json:"number"`
	State  State  `json:"state"`
	Name   string `json:"name"`
	// Verdict is what the pipeline said of the image.
	Verdict string `json:"verdict"`

	// WholeSeconds are from the creation of the PipelineRun to its end, as the API
	// server shows it.
	WholeSeconds float64 `json:"wholeSeconds"`
	// Figures are the Pods' together: the mean of SetUpSeconds, the largest of
	// PeakMemoryBytes, and the sums of all others.
	Figures

	Pods []Pod `json:"pods"`
}

// Pod is what one Pod of a run took.
type Pod struct {
	Name string `json:"name"`
	Figures
}

// Figures are what was measured of Pods.
type Figures struct {
	// SetUpSeconds are from a Pod's admission by the kubelet to the start of its first
	// step, PullSeconds what of that was spent on pulling images.
	SetUpSeconds *float64 `json:"setUpSeconds,omitempty"`
	PullSeconds  *float64 `json:"pullSeconds,omitempty"`
	// StepsSeconds are from the start of a Pod's first step to the end of its last.
	StepsSeconds     *float64 `json:"stepsSeconds,omitempty"`
	CPUSeconds       *float64 `json:"cpuSeconds,omitempty"`
	PeakMemoryBytes  *float64 `json:"peakMemoryBytes,omitempty"`
	DiskReadBytes    *float64 `json:"diskReadBytes,omitempty"`
	DiskWrittenBytes *float64 `json:"diskWrittenBytes,omitempty"`
	ReceivedBytes    *float64 `json:"receivedBytes,omitempty"`
	SentBytes        *float64 `json:"sentBytes,omitempty"`
}

// Spread is what several runs have of one measure.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// Sum fills in what a run's Pods make together.
func (r *Run) Sum() {
	r.SetUpSeconds = together(r.Pods, mean, func(p *Pod) *float64 { return p.SetUpSeconds })
	r.PullSeconds = together(r.Pods, sum, func(p *Pod) *float64 { return p.PullSeconds })
	r.StepsSeconds = together(r.Pods, sum, func(p *Pod) *float64 { return p.StepsSeconds })
	r.CPUSeconds = together(r.Pods, sum, func(p *Pod) *float64 { return p.CPUSeconds })
	r.PeakMemoryBytes = together(r.Pods, most, func(p *Pod) *float64 { return p.PeakMemoryBytes })
	r.DiskReadBytes = together(r.Pods, sum, func(p *Pod) *float64 { return p.DiskReadBytes })
	r.DiskWrittenBytes = together(r.Pods, sum, func(p *Pod) *float64 { return p.DiskWrittenBytes })
	r.ReceivedBytes = together(r.Pods, sum, func(p *Pod) *float64 { return p.ReceivedBytes })
	r.SentBytes = together(r.Pods, sum, func(p *Pod) *float64 { return p.SentBytes })
}

// Summarise fills in the summaries of all classes.
func (r *Report) Summarise() {
	for i := range r.Classes {
		c := &r.Classes[i]
		c.Summary = map[State]map[string]Spread{}
		for _, state := range []State{Warm, Cold} {
			for _, m := range measures {
				values := c.values(state, m)
				if len(values) == 0 {
					continue
				}
				if c.Summary[state] == nil {
					c.Summary[state] = map[string]Spread{}
				}
				c.Summary[state][m.name] = spread(values)
			}
		}
	}
}
