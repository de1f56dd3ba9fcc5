package lifecycle

import "strings"

// repeatable says whether the same run again may end otherwise.
type repeatable bool

const (
	repeated    repeatable = true
	notRepeated repeatable = false
)

// stepErrors is what becomes of a run one of whose steps failed, by the word that its
// result "error" begins with. What is not listed, and a step that could say nothing,
// is repeated: it may be the infrastructure's. A repetition follows within a minute or
// two; what takes a person longer than that to cure is not worth one.
var stepErrors = map[Reason]repeatable{
	// The digest decides them, and it does not change.
	NotAnImage:         notRepeated,
	ContentCorrupted:   notRepeated,
	ContentUnreadable:  notRepeated,
	TooLarge:           notRepeated,
	PackagesUnreadable: notRepeated,
	// What a registry leads to must not be tried until it works.
	AddressRefused: notRepeated,
	// The registry has to take such artefacts first, or the owner to publish none.
	PushRefused: notRepeated,
	// Somebody has to name, mirror or upgrade something first.
	DatabaseNotConfigured: notRepeated,
	DatabaseTooOld:        notRepeated,
	DatabaseTooNew:        notRepeated,
	DatabaseFormat:        notRepeated,
	DatabaseEmpty:         notRepeated,
	DatabaseBroken:        notRepeated,
	DatabaseTampered:      notRepeated,
	// A registry that replicates shows a digest before it has all of its content.
	"ContentMissing": repeated,
	// OpenShift grants an account its rights and credentials shortly after it is made.
	"AccessDenied":        repeated,
	"TimedOut":            repeated,
	"RegistryUnavailable": repeated,
	// It says when it may be asked again, which a later run does.
	"RateLimited": repeated,
	// A mirror job may be filling it.
	"DatabaseMissing": repeated,
}

// StepErrors returns the words that are decided on, and whether each is repeated.
func StepErrors() map[Reason]bool {
	all := make(map[Reason]bool, len(stepErrors))
	for reason, again := range stepErrors {
		all[reason] = bool(again)
	}
	return all
}

// lasting returns why a run that failed would fail again, and the Pod that says so.
// One Pod is enough: what the others say does not help it. That a digest is no image
// comes last, as what contradicts it is trouble that must not be passed over.
func lasting(pods []Pod) (Reason, *Pod) {
	var proven *Pod
	for i := range pods {
		p := &pods[i]
		word, _, _ := strings.Cut(p.Error, ":")
		reason := Reason(word)
		again, known := stepErrors[reason]
		switch {
		case !known || again == repeated:
		case reason != NotAnImage:
			return reason, p
		case proven == nil:
			proven = p
		}
	}
	if proven == nil {
		return "", nil
	}
	return NotAnImage, proven
}
