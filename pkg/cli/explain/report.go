package explain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// Report is everything that an entry says about one image.
type Report struct {
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Trigger    string `json:"trigger"`
	Repository string `json:"repository"`
	Kind       string `json:"kind"`
	Digest     string `json:"digest"`
	// Reference is what runtimes pull.
	Reference string         `json:"reference"`
	Phase     v1alpha1.Phase `json:"phase"`
	Reason    string         `json:"reason,omitempty"`
	Message   string         `json:"message,omitempty"`
	Cure      string         `json:"cure,omitempty"`
	// Verdict is the newest verdict; nil if there is none, whatever the phase says.
	Verdict *v1alpha1.Verdict `json:"verdict,omitempty"`
	// JudgedWithoutVerdict is true if the entry was judged before verdicts were kept.
	JudgedWithoutVerdict bool `json:"judgedWithoutVerdict,omitempty"`
	// Attestations are the signed verdicts that are, or may be, in the registry.
	Attestations []attested.Record `json:"attestations,omitempty"`
	// Unattested says why the newest verdict has none; empty if nobody asks, or one is listed.
	Unattested attested.Standing `json:"unattested,omitzero"`
	// Pushes are the newest push of each tag to this digest, newest first.
	Pushes []Push `json:"pushes"`
	// MoreTags counts the tags that the entry does not name, and Forgotten those of them of
	// which nobody knows any more which they were.
	MoreTags  int64 `json:"moreTags,omitempty"`
	Forgotten int64 `json:"forgotten,omitempty"`
	// ByHandAt is when a person recorded the digest, which nobody had pushed.
	ByHandAt *metav1.MicroTime    `json:"byHandAt,omitempty"`
	Image    *v1alpha1.ImageFacts `json:"image,omitempty"`
	// Runs are oldest first.
	Runs []Run `json:"runs"`
	// EarlierRuns is how many older runs the entry no longer keeps.
	EarlierRuns int32 `json:"earlierRuns,omitempty"`
	// Look is a command that prints the whole entry.
	Look string `json:"look"`
}

// Push is one push.
type Push struct {
	Tag        string              `json:"tag"`
	PushedAt   metav1.Time         `json:"pushedAt"`
	RecordedAt metav1.MicroTime    `json:"recordedAt"`
	Source     v1alpha1.PushSource `json:"source"`
	// RecordedWithin is the longest delay possible: a push has its time to the second.
	RecordedWithin string `json:"recordedWithin,omitempty"`
	// Run is the run that covers the push; 0 if there is none yet.
	Run int32 `json:"run"`
}

// Run is one run.
type Run struct {
	Number     int32            `json:"number"`
	Name       string           `json:"name"`
	Cause      v1alpha1.Cause   `json:"cause"`
	Timestamps []Timestamp      `json:"moments"`
	Attempts   int32            `json:"attempts"`
	Outcome    v1alpha1.Outcome `json:"outcome,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	Message    string           `json:"message,omitempty"`
	Cure       string           `json:"cure,omitempty"`
	Sandbox    RunSandbox       `json:"sandbox"`
	// Scanned is the digest that the pipeline reports.
	Scanned string  `json:"scanned,omitempty"`
	Summary Summary `json:"summary"`
	Report  string  `json:"report,omitempty"`
	// Look is a command that prints the run, and Logs one that prints its output.
	Look string `json:"look,omitempty"`
	Logs string `json:"logs,omitempty"`
}

// Timestamp is when a run reached a step.
type Timestamp struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
	// After is the time since the previous one. It is 0 where clocks, or times in whole
	// seconds, would make it negative.
	After string `json:"after,omitempty"`
	// whole is true for a time in whole seconds.
	whole bool
}

// RunSandbox says where the Pods of a run really executed.
type RunSandbox struct {
	v1alpha1.SandboxStatus `json:",inline"`
	// Handlers are the handlers of the classes.
	Handlers map[string]string `json:"handlers,omitempty"`
}

// newReport builds the report on an entry. handlers maps each known RuntimeClass to its
// handler.
func newReport(e *v1alpha1.ImageVerification, handlers map[string]string) Report {
	s := Report{
		Namespace: e.Namespace, Name: e.Name, Trigger: e.Spec.Trigger.Name,
		Repository: e.Spec.Repository.Name, Kind: string(e.Spec.Repository.Kind),
		Digest: e.Spec.Digest, Reference: e.Spec.Repository.Pull + "@" + e.Spec.Digest,
		Phase: e.Phase(), Reason: e.Status.Reason, Message: e.Status.Message,
		Cure:    command.CureOf(e.Status.Reason, e.Status.Message),
		Verdict: e.Status.Verdict, JudgedWithoutVerdict: e.JudgedWithoutVerdict(),
		Image:  e.ImageFacts(),
		Pushes: []Push{},
		Runs:   []Run{},
		Look:   fmt.Sprintf("kubectl get imageverification %s --namespace %s -o yaml", e.Name, e.Namespace),
	}
	if e.IsManual() {
		s.ByHandAt = &e.Spec.FirstPush.ObservedAt
	}
	for _, p := range command.PushesOf(e) {
		s.Pushes = append(s.Pushes, newPush(p, e.Spec.Repository.Kind))
	}
	s.MoreTags = e.Status.MoreTags.Total()
	if s.MoreTags > 0 {
		s.Forgotten = e.Status.MoreTags.Forgotten
	}
	for i := range e.Status.Runs {
		s.Runs = append(s.Runs, newRun(e, &e.Status.Runs[i], handlers))
	}
	if len(s.Runs) > 0 {
		s.EarlierRuns = s.Runs[0].Number - 1
	}
	return s
}

func newPush(p v1alpha1.TagStatus, kind v1alpha1.RepositoryKind) Push {
	s := Push{Tag: p.Tag, PushedAt: p.PushedAt, RecordedAt: p.ObservedAt, Source: p.Source, Run: p.Run}
	// A registry shows no times, so a push to it has the time at which Revet saw it.
	if kind != v1alpha1.RepositoryRegistry && !p.ObservedAt.IsZero() && !p.PushedAt.IsZero() {
		s.RecordedWithin = between(p.PushedAt.Time, p.ObservedAt.Time)
	}
	return s
}

// runPodLabel is the label by which Tekton names the PipelineRun of a Pod.
const runPodLabel = "tekton.dev/pipelineRun"

func newRun(e *v1alpha1.ImageVerification, r *v1alpha1.RunStatus, handlers map[string]string) Run {
	s := Run{
		Number: r.Number, Name: r.Name, Cause: r.Cause, Attempts: r.Attempts,
		Outcome: r.Outcome, Reason: r.Reason, Message: r.Message, Cure: command.CureOf(r.Reason, r.Message),
		Sandbox:    RunSandbox{SandboxStatus: r.Sandbox, Handlers: handlersOf(r.Sandbox, handlers)},
		Scanned:    r.Digest,
		Summary:    parseSummary(r.Summary),
		Report:     r.Report,
		Timestamps: timestamps(e, r),
	}
	if r.ConfirmedAt != nil {
		s.Look = fmt.Sprintf("kubectl get pipelinerun %s --namespace %s -o yaml", r.Name, e.Namespace)
	}
	switch pods := r.Sandbox.Pods; len(pods) {
	case 0:
	case 1:
		s.Logs = fmt.Sprintf("kubectl logs %s --namespace %s --all-containers", pods[0], e.Namespace)
	default:
		// With a selector, kubectl prints ten lines of each Pod by default.
		s.Logs = fmt.Sprintf("kubectl logs --selector %s=%s --namespace %s --all-containers --prefix --tail=-1", runPodLabel, r.Name, e.Namespace)
	}
	return s
}

// timestamps returns the steps of a run in their order, beginning with its push.
func timestamps(e *v1alpha1.ImageVerification, r *v1alpha1.RunStatus) []Timestamp {
	var all []Timestamp
	add := func(what string, at time.Time, whole bool) {
		if at.IsZero() {
			return
		}
		m := Timestamp{What: what, At: at.UTC(), whole: whole}
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

// answered returns the push that a run was started for: the oldest one that it covers, as
// far as the entry still knows.
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

// between returns the time between two times, rounded for people.
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
