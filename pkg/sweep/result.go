package sweep

import (
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

// The reasons why a sweep is not complete. The trigger's condition Swept shows the first
// one that lasts. Result.Unknown lists them all, and names the source's own reason in
// place of RegistryNotSwept.
const (
	// ReadFailed: the API server or a registry did not answer. Revet tries again.
	ReadFailed = "ReadFailed"
	// TimedOut: the API server or a registry did not answer in time. Revet tries again.
	TimedOut = "TimedOut"
	// RecordFailed: Revet found a push and could not record it. Revet tries again.
	RecordFailed = "RecordFailed"
	// NotRecordable: Revet found a push that it can never record.
	NotRecordable = "NotRecordable"
	// TooManyTags: a digest was pushed to more tags than its entry tells of, and nobody knows
	// whether the ledger has a push of it.
	TooManyTags = v1alpha1.ReasonTooManyTags
	// NoImageStreams: the trigger selects ImageStreams, which the cluster does not have.
	NoImageStreams = "NoImageStreams"
	// StreamsNotVisible: the trigger selects ImageStreams that its account may not get.
	StreamsNotVisible = "StreamsNotVisible"
	// NamespaceNotRead: a namespace appeared during the sweep, and its labels are not known.
	NamespaceNotRead = "NamespaceNotRead"
	// ItemNotReadable: an ImageStream shows an item that has no time.
	ItemNotReadable = "ItemNotReadable"
	// DigestUnsupported: a tag shows a digest of an algorithm that Revet does not know.
	DigestUnsupported = string(source.DigestUnsupported)
	// RegistryPutOff: a registry asks for no requests for a while, or does not answer.
	// The next sweep reads the rest of its tags.
	RegistryPutOff = "RegistryPutOff"
	// SweepPutOff: the sweeps of the trigger's namespace used up their share, and others go
	// first. Revet tries again when the message says.
	SweepPutOff = "SweepPutOff"
	// RegistryNotSwept: a registry refuses to be read, or its operator does not list it.
	RegistryNotSwept = "RegistryNotSwept"
	// RepositoryGone: a registry says that a repository does not exist of which the
	// ledger has pushes. Somebody deleted it, or the registry hides it.
	RepositoryGone = "RepositoryGone"
	// CatalogueIncomplete: a registry's catalogue leaves out a repository that has tags, or
	// lists none at all.
	CatalogueIncomplete = "CatalogueIncomplete"
	// SweepsOff: the operator switched sweeps of registries off.
	SweepsOff = "SweepsOff"
	// SelectorInvalid: the trigger's spec.images does not compile.
	SelectorInvalid = "SelectorInvalid"
	// NotSwept: no sweep of the trigger's spec has ended.
	NotSwept = "NotSwept"
	// SweepTooOld: the latest sweep began too long ago to say what is there now.
	SweepTooOld = "SweepTooOld"
)

// Result is what one sweep of one trigger did.
type Result struct {
	// Generation is the trigger's that was swept.
	Generation int64
	StartedAt  time.Time
	FinishedAt time.Time
	// Repositories is how many the selectors admitted.
	Repositories int32
	// Recovered is how many pushes the sweep recorded that no event had brought.
	Recovered int32
	// Pushes is how many pushes the repositories show that the trigger answers for.
	Pushes int32
	// Gap is how many of these the ledger did not cover in the end. Unread is how many
	// of the gap could not be read, so that they may be exempt.
	Gap    int32
	Unread int32
	// Artefacts is how many more pushes cannot run, and so are exempt.
	Artefacts int32
	// Reason is empty if the sweep saw and recorded everything; Message then is too.
	Reason  string
	Message string
	// Unknown is what the sweep could not see, by reason. A push that it saw and could
	// not record is known: it is part of the gap.
	Unknown []v1alpha1.Unknown
	// Retry: another sweep soon may see what this one did not.
	Retry bool
	// Retries is how many sweeps in a row asked for that before.
	Retries int
	// NotBefore is when a registry that put the sweep off may be asked again.
	NotBefore time.Time
	// Baselines are the registry entries whose first sweep is complete.
	Baselines []string
}

// Coverage sums up the result. Only Covered means that nothing is missing.
func (r *Result) Coverage() v1alpha1.CoverageState {
	switch {
	case r.Gap > r.Unread:
		return v1alpha1.CoverageGap
	case r.Gap > 0 || len(r.Unknown) > 0 || r.Reason != "":
		return v1alpha1.CoverageNotKnown
	default:
		return v1alpha1.CoverageCovered
	}
}

func (r *Result) add(part Result) {
	r.Repositories += part.Repositories
	r.Recovered += part.Recovered
	r.Pushes += part.Pushes
	r.Gap += part.Gap
	r.Unread += part.Unread
	r.Artefacts += part.Artefacts
	r.Unknown = append(r.Unknown, part.Unknown...)
	r.Retry = r.Retry || part.Retry
	if part.NotBefore.After(r.NotBefore) {
		r.NotBefore = part.NotBefore
	}
	r.Baselines = append(r.Baselines, part.Baselines...)
	if r.Reason == "" {
		r.Reason, r.Message = part.Reason, part.Message
	}
}
