package lifecycle

import "strings"

// repeatable reports whether the same run may end differently if Revet repeats it.
type repeatable bool

const (
	repeated    repeatable = true
	notRepeated repeatable = false
)

// stepErrors says whether a run is repeated one of whose steps failed, by the first word of
// the step's result "error". A run is repeated too if the word is not listed, or if the
// step could not write one: the infrastructure may be to blame. A repetition follows within
// a minute or two, so that errors which a person has to cure are not repeated.
var stepErrors = map[Reason]repeatable{
	// They depend on the digest alone, which does not change.
	NotAnImage:         notRepeated,
	ContentCorrupted:   notRepeated,
	ContentUnreadable:  notRepeated,
	TooLarge:           notRepeated,
	PackagesUnreadable: notRepeated,
	// Retrying would let a registry probe addresses.
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
	// A later run asks again when the registry allows it.
	"RateLimited": repeated,
	// A mirror job may be filling it.
	"DatabaseMissing": repeated,
}

// StepErrors returns the listed words, and whether each is repeated.
func StepErrors() map[Reason]bool {
	all := make(map[Reason]bool, len(stepErrors))
	for reason, again := range stepErrors {
		all[reason] = bool(again)
	}
	return all
}

// permanentError returns why a failed run would fail again, and the Pod that says so. One
// Pod is enough. NotAnImage comes last: an error that contradicts it must not be lost.
func permanentError(pods []Pod) (Reason, *Pod) {
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
