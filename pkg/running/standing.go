package running

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
)

// Standing is what a Pod or one of its images counts as. The zero value is Unknown.
type Standing int

// The standings, the best first but for the zero value.
const (
	Unknown Standing = iota
	Exempt
	Verified
	Expired
	BreakGlass
	Failed
)

// String returns the standing's name, as the gate's status shows it.
func (s Standing) String() string {
	switch s {
	case Exempt:
		return "Exempt"
	case BreakGlass:
		return "BreakGlass"
	case Verified, Expired, Failed:
		return map[Standing]gate.Standing{Verified: gate.Verified, Expired: gate.Expired, Failed: gate.Failed}[s].String()
	default:
		return gate.Unknown.String()
	}
}

// badness orders standings: what has to be looked at first is the largest.
func (s Standing) badness() int {
	switch s {
	case Failed:
		return 5
	case BreakGlass:
		return 4
	case Expired:
		return 2
	case Verified:
		return 1
	case Exempt:
		return 0
	default:
		return 3
	}
}

// isUnverified reports whether nothing vouches for it now.
func (s Standing) isUnverified() bool { return s != Verified && s != Exempt }

// Gate is what a census needs to know about one gate.
type Gate struct {
	Name string
	// Selects reports whether the gate gates the namespace.
	Selects func(namespace string) bool
	// IsExempt reports whether a reference needs no verdict.
	IsExempt func(reference string) bool
	// Judge says what the gate concludes about a digest.
	Judge func(image.Digest) gate.Finding
}

// Image is one image of a Pod, and what it counts as.
type Image struct {
	gate.Use
	// Digest is the one in the reference, or else what the node says that it runs. Zero if
	// neither tells one.
	Digest   image.Digest
	Standing Standing
	Message  string
	// Finding is what the gate concluded about the digest; nil if the reference is exempt, or
	// nobody knows the digest.
	Finding *gate.Finding
}

// hasBreakGlass reports whether a Pod asked to start without a verdict.
func hasBreakGlass(pod *corev1.Pod) bool { return pod.Labels[v1alpha1.BreakGlassLabel] == "true" }

// ended reports whether nothing of the Pod runs or will run.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Look returns the images of a Pod with what each counts as, and what the Pod counts as: the
// worst of them. A Pod that asked to start without a verdict counts as one that did only if
// it needed to.
func (g Gate) Look(pod *corev1.Pod) (Standing, []Image) {
	ids := imageIDs(pod)
	worst := Exempt
	var all []Image
	for _, use := range gate.Uses(&pod.Spec) {
		id := ids[use.Container]
		if use.IsVolume() {
			id = "" // a volume may have a container's name
		}
		i := g.judge(use, id)
		if hasBreakGlass(pod) && i.Standing.isUnverified() && i.Standing != Failed {
			i.Standing = BreakGlass
		}
		if i.Standing.badness() > worst.badness() {
			worst = i.Standing
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return Unknown, nil
	}
	return worst, all
}

func (g Gate) judge(use gate.Use, imageID string) Image {
	i := Image{Use: use, Digest: digestOf(use.Image)}
	if i.Digest.IsZero() {
		i.Digest = digestOf(imageID)
	}
	if g.IsExempt(use.Image) {
		i.Standing = Exempt
		return i
	}
	if i.Digest.IsZero() {
		i.Message = "neither the Pod nor its node tells the digest"
		return i
	}
	found := g.Judge(i.Digest)
	i.Message, i.Standing, i.Finding = found.Message, OfFinding(found), &found
	return i
}

// digestOf returns the manifest digest that a reference or a node's image id ends with. An id
// without a repository is the digest of a configuration, which says nothing.
func digestOf(reference string) image.Digest {
	_, after, ok := strings.Cut(reference, "@")
	if !ok {
		return image.Digest{}
	}
	d, err := image.ParseDigest(after)
	if err != nil {
		return image.Digest{}
	}
	return d
}

// imageIDs returns what the node says that each container runs, by the container's name.
func imageIDs(pod *corev1.Pod) map[string]string {
	ids := map[string]string{}
	for _, list := range [][]corev1.ContainerStatus{
		pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses,
	} {
		for i := range list {
			ids[list[i].Name] = list[i].ImageID
		}
	}
	return ids
}
