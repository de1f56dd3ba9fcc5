package imageapi

import (
	"fmt"
	"regexp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// streamName is narrower than what a registry takes for a path component: one separator at a time.
var streamName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// ValidName says whether an ImageStream may have the name.
func ValidName(name string) bool { return streamName.MatchString(name) }

// validateName refuses what the real server refuses. It also holds generateName to the whole pattern,
// so that "app-" is refused although "app-x7k2p" would be a valid name.
func validateName(meta metav1.ObjectMeta) (errs field.ErrorList) {
	for path, name := range map[string]string{"name": meta.Name, "generateName": meta.GenerateName} {
		if name != "" && !ValidName(name) {
			errs = append(errs, field.Invalid(field.NewPath("metadata", path), name, fmt.Sprintf("must match %q", streamName)))
		}
	}
	return errs
}
