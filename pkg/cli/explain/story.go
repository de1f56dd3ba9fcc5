package explain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// Story is everything that an entry tells of one image.
type Story struct {
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Trigger    string `json:"trigger"`
	Repository string `json:"repository"`
	Kind       string `json:"kind"`
	Digest     string `json:"digest"`
	// Reference is what is pulled.
	Reference  string         `json:"reference"`
	Phase      v1alpha1.Phase `json:"phase"`
	Reason     string         `json:"reason,omitempty"`
	Message    string         `json:"message,omitempty"`
	Cure       string         `json:"cure,omitempty"`
	ValidUntil *metav1.Time   `json:"validUntil,omitempty"`
	// Pushes are the newest push of each tag to this digest, newest first.
	Pushes []StoryPush          `json:"pushes"`
	Image  *v1alpha1.ImageFacts `json:"image,omitempty"`
	// Runs are oldest first.
	Runs []StoryRun `json:"runs"`
	// EarlierRuns is how many runs are no longer kept.
	EarlierRuns int32 `json:"earlierRuns,omitempty"`
	// Look is a command that shows the whole entry.
	Look string `json:"look"`
}

// StoryPush is one push.
type StoryPush struct {
	Tag        string              `json:"tag"`
	PushedAt   metav1.Time         `json:"pushedAt"`
	RecordedAt metav1.MicroTime    `json:"recordedAt"`
	Source     v1alpha1.PushSource `json:"source"`
	// RecordedWithin bounds the delay from above: pushes have a time to the second.
	RecordedWithin string `json:"recordedWithin,omitempty"`
	// Run covers the push; 0 while undecided.
	Run int32 `json:"run"`
}

// StoryRun is one run.
type StoryRun struct {
	Number   int32            `json:"number"`
	Name     string           `json:"name"`
	Cause    v1alpha1.Cause   `json:"cause"`
	Moments  []Moment         `json:"moments"`
	Attempts int32            `json:"attempts"`
	Outcome  v1alpha1.Outcome `json:"outcome,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Message  string           `json:"message,omitempty"`
	Cure     string           `json:"cure,omitempty"`
	Sandbox  StorySandbox     `json:"sandbox"`
	// Scanned is the digest that the pipeline says it scanned.
	Scanned string  `json:"scanned,omitempty"`
	Summary Summary `json:"summary"`
	Report  string  `json:"report,omitempty"`
	// Look is a command that shows the run, Logs one that shows its output.
	Look string `json:"look,omitempty"`
	Logs string `json:"logs,omitempty"`
}

// Moment is one step of a run.
type Moment struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
	// After is how long after the moment before; negative times, which clocks
	// and whole seconds cause, are shown as 0.
	After string `json:"after,omitempty"`
	// whole is true for a time that is to the second.
	whole bool
}

// StorySandbox tells where a run's Pods really executed.
type StorySandbox struct {
	v1alpha1.SandboxStatus `json:",inline"`
	// Handlers are the container runtimes' handlers of the classes.
	Handlers map[string]string `json:"handlers,omitempty"`
}

// newStory builds the story of an entry. Handlers name the handler of each
// RuntimeClass that is known.
func newStory(e *v1alpha1.ImageVerification, handlers map[string]string) Story {
	s := Story{
		Namespace: e.Namespace, Name: e.Name, Trigger: e.Spec.Trigger.Name,
		Repository: e.Spec.Repository.Name, Kind: string(e.Spec.Repository.Kind),
		Digest: e.Spec.Digest, Reference: e.Spec.Repository.Pull + "@" + e.Spec.Digest,
		Phase: e.Phase(), Reason: e.Status.Reason, Message: e.Status.Message,
		Cure:       command.CureOf(e.Status.Reason, e.Status.Message),
		ValidUntil: e.Status.ValidUntil,
		Image:      e.ImageFacts(),
		Pushes:     []StoryPush{},
		Runs:       []StoryRun{},
		Look:       fmt.Sprintf("kubectl get imageverification %s --namespace %s -o yaml", e.Name, e.Namespace),
	}
	for _, p := range command.PushesOf(e) {
		s.Pushes = append(s.Pushes, newStoryPush(p, e.Spec.Repository.Kind))
	}
	for i := range e.Status.Runs {
		s.Runs = append(s.Runs, newStoryRun(e, &e.Status.Runs[i], handlers))
	}
	if len(s.Runs) > 0 {
		s.EarlierRuns = s.Runs[0].Number - 1
	}
	return s
}

func newStoryPush(p v1alpha1.TagStatus, kind v1alpha1.RepositoryKind) StoryPush {
	s := StoryPush{Tag: p.Tag, PushedAt: p.PushedAt, RecordedAt: p.ObservedAt, Source: p.Source, Run: p.Run}
	// A registry shows no times: there, a push has the time at which it was seen.
	if kind != v1alpha1.RepositoryRegistry && !p.ObservedAt.IsZero() && !p.PushedAt.IsZero() {
		s.RecordedWithin = between(p.PushedAt.Time, p.ObservedAt.Time)
	}
	return s
}

// runPodLabel is what Tekton labels the Pods of a PipelineRun with.
const runPodLabel = "tekton.dev/pipelineRun"

func newStoryRun(e *v1alpha1.ImageVerification, r *v1alpha1.RunStatus, handlers map[string]string) StoryRun {
	s := StoryRun{
		Number: r.Number, Name: r.Name, Cause: r.Cause, Attempts: r.Attempts,
		Outcome: r.Outcome, Reason: r.Reason, Message: r.Message, Cure: command.CureOf(r.Reason, r.Message),
		Sandbox: StorySandbox{SandboxStatus: r.Sandbox, Handlers: handlersOf(r.Sandbox, handlers)},
		Scanned: r.Digest,
		Summary: parseSummary(r.Summary),
		Report:  r.Report,
		Moments: moments(e, r),
	}
	if r.ConfirmedAt != nil {
		s.Look = fmt.Sprintf("kubectl get pipelinerun %s --namespace %s -o yaml", r.Name, e.Namespace)
	}
	switch pods := r.Sandbox.Pods; len(pods) {
	case 0:
	case 1:
		s.Logs = fmt.Sprintf("kubectl logs %s --namespace %s --all-containers", pods[0], e.Namespace)
	default:
		// A Pod for each Task; by a label, kubectl prints ten lines if not told otherwise.
		s.Logs = fmt.Sprintf("kubectl logs --selector %s=%s --namespace %s --all-containers --prefix --tail=-1", runPodLabel, r.Name, e.Namespace)
	}
	return s
}

// moments of a run, with the push that it answers, in the order of the flow.
func moments(e *v1alpha1.ImageVerification, r *v1alpha1.RunStatus) []Moment {
	var all []Moment
	add := func(what string, at time.Time, whole bool) {
		if at.IsZero() {
			return
		}
		m := Moment{What: what, At: at.UTC(), whole: whole}
		if len(all) > 0 {
			m.After = between(all[len(all)-1].At, m.At)
		}
		all = append(all, m)
	}
	if p, ok := answered(e, r.Number); ok {
		if e.Spec.Repository.Kind != v1alpha1.RepositoryRegistry {
			add("pushed", p.PushedAt.Time, true)
		}
		add("recorded", p.ObservedAt.Time, false)
	}
	add("requested", r.RequestedAt.Time, false)
	if r.FiredAt != nil {
		add("fired", r.FiredAt.Time, false)
	}
	if r.ConfirmedAt != nil {
		add("confirmed", r.ConfirmedAt.Time, false)
	}
	if r.StartedAt != nil {
		add("started", r.StartedAt.Time, true)
	}
	if r.FinishedAt != nil {
		add("finished", r.FinishedAt.Time, true)
	}
	return all
}

// answered returns the oldest push that a run covers, as far as it is known:
// the one that the run was started for.
func answered(e *v1alpha1.ImageVerification, run int32) (v1alpha1.PushRecord, bool) {
	var covered []v1alpha1.PushRecord
	for _, t := range e.Status.Tags {
		if t.Run == run {
			covered = append(covered, t.PushRecord)
		}
	}
	if len(covered) == 0 {
		return v1alpha1.PushRecord{}, false
	}
	return slices.MinFunc(covered, func(a, b v1alpha1.PushRecord) int {
		return cmp.Or(a.PushedAt.Compare(b.PushedAt.Time), a.ObservedAt.Compare(b.ObservedAt.Time))
	}), true
}

func handlersOf(s v1alpha1.SandboxStatus, handlers map[string]string) map[string]string {
	var known map[string]string
	for _, class := range append([]string{s.Requested}, s.Observed...) {
		if h, ok := handlers[class]; ok {
			if known == nil {
				known = map[string]string{}
			}
			known[class] = h
		}
	}
	return known
}

// between prints a duration as a person reads it.
func between(from, to time.Time) string {
	d := max(to.Sub(from), 0)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
