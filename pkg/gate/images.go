package gate

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Use is one place of a Pod at which an image stands.
type Use struct {
	// Field is the place, as in spec.containers[0].image.
	Field string
	// Container is the container's or the volume's name.
	Container string
	// Image is the reference as it stands there.
	Image string
}

// IsVolume reports whether the place is an image volume, of which nodes tell no digest.
func (u Use) IsVolume() bool { return strings.HasPrefix(u.Field, volumeField) }

const volumeField = "spec.volumes["

// Uses lists every place of a Pod at which an image stands: containers, init containers,
// ephemeral containers and image volumes. The policies look at the same places.
func Uses(spec *corev1.PodSpec) []Use {
	var all []Use
	for i := range spec.InitContainers {
		all = append(all, Use{field("initContainers", i), spec.InitContainers[i].Name, spec.InitContainers[i].Image})
	}
	for i := range spec.Containers {
		all = append(all, Use{field("containers", i), spec.Containers[i].Name, spec.Containers[i].Image})
	}
	for i := range spec.EphemeralContainers {
		all = append(all, Use{field("ephemeralContainers", i), spec.EphemeralContainers[i].Name, spec.EphemeralContainers[i].Image})
	}
	for i := range spec.Volumes {
		if source := spec.Volumes[i].Image; source != nil {
			all = append(all, Use{volumeField + strconv.Itoa(i) + "].image.reference", spec.Volumes[i].Name, source.Reference})
		}
	}
	return all
}

func field(list string, i int) string { return "spec." + list + "[" + strconv.Itoa(i) + "].image" }
