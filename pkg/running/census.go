package running

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
)

const (
	// pageSize is how many Pods are read at once, if they are not too large together.
	pageSize = 500
	// maxWorst bounds v1alpha1.RunningStatus.Worst.
	maxWorst = 20
	// maxDigests bounds what a census keeps of one gate, and maxDigestsIn what it keeps of one
	// namespace, so that whoever may make Pods in one takes no room from others. A digest is
	// some 500 bytes.
	maxDigests   = 200_000
	maxDigestsIn = 5_000
	maxReference = 512
)

// Census is what runs behind one gate.
type Census struct {
	// At is when the last page was read.
	At     time.Time
	Counts map[Standing]int64
	Worst  []v1alpha1.RunningImage
	// Digests are the digests that run by a reference that is not exempt, each with one place
	// at which it does, and Findings what the gate concluded about them.
	Digests  map[image.Digest]Place
	Findings map[image.Digest]gate.Finding
	// Uncounted is how many further digests there was no room for.
	Uncounted int64
	// BreakGlass are the Pods that asked to start without a verdict, by their UIDs.
	BreakGlass map[types.UID]types.NamespacedName

	worst []ranked
	// digestsIn counts Digests by namespace.
	digestsIn map[string]int
	// workloads are what made the Pods that are not verified, with the worst of their Pods.
	// A Pod that nothing made counts by itself.
	workloads map[types.UID]Standing
}

// Place is where a digest runs.
type Place struct {
	Pod types.NamespacedName
	// Image is the reference that names the digest, or that the node resolved to it.
	Image string
}

type ranked struct {
	standing Standing
	image    v1alpha1.RunningImage
}

// Count reads all Pods once, and returns a census for each gate, in the gates' order. It
// fails as a whole: half a census would call what it did not see verified.
func Count(ctx context.Context, pods client.Reader, gates []Gate, now func() time.Time) ([]Census, error) {
	all := make([]Census, len(gates))
	for i := range all {
		all[i] = Census{
			Counts: map[Standing]int64{}, Digests: map[image.Digest]Place{},
			Findings: map[image.Digest]gate.Finding{}, digestsIn: map[string]int{},
			BreakGlass: map[types.UID]types.NamespacedName{}, workloads: map[types.UID]Standing{},
		}
	}
	err := kube.EachPage(ctx, pageSize, func(ctx context.Context, limit int64, next string) (string, error) {
		var page corev1.PodList
		if err := pods.List(ctx, &page, client.Limit(limit), client.Continue(next)); err != nil {
			return "", err
		}
		for i := range page.Items {
			for g := range gates {
				if gates[g].Selects(page.Items[i].Namespace) {
					all[g].add(gates[g], &page.Items[i])
				}
			}
		}
		return page.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing Pods: %w", err)
	}
	for i := range all {
		all[i].finish(now())
	}
	return all, nil
}

func (c *Census) add(g Gate, pod *corev1.Pod) {
	if ended(pod) {
		return
	}
	standing, images := g.Look(pod)
	c.Counts[standing]++
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if hasBreakGlass(pod) {
		c.BreakGlass[pod.UID] = name
	}
	for _, i := range images {
		if i.Finding == nil {
			continue
		}
		if _, known := c.Digests[i.Digest]; known {
			continue
		}
		if len(c.Digests) >= maxDigests || c.digestsIn[pod.Namespace] >= maxDigestsIn {
			c.Uncounted++
			continue
		}
		c.digestsIn[pod.Namespace]++
		// A copy, or the whole of what somebody wrote there would stay in memory.
		c.Digests[i.Digest] = Place{name, strings.Clone(image.Cut(i.Image, maxReference))}
		c.Findings[i.Digest] = *i.Finding
	}
	if standing.isUnverified() {
		c.note(pod, standing)
		c.keep(standing, name, images)
	}
}

// note counts what made a Pod that is not verified.
func (c *Census) note(pod *corev1.Pod, standing Standing) {
	maker := pod.UID
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		maker = owner.UID
	}
	before, known := c.workloads[maker]
	if (known || len(c.workloads) < maxDigests) && (!known || standing.badness() > before.badness()) {
		c.workloads[maker] = standing
	}
}

// Refused is the number of workloads some of whose Pods could not be started again in mode
// Deny. Expired images may be, if they ran here and the gate's onExpired says so.
func (c *Census) Refused(expired bool) int {
	n := 0
	for _, standing := range c.workloads {
		if standing != Expired || expired {
			n++
		}
	}
	return n
}

// keep remembers a Pod that is not verified, by its worst image. It keeps the worst few.
func (c *Census) keep(standing Standing, pod types.NamespacedName, images []Image) {
	for _, i := range images {
		if i.Standing != standing {
			continue
		}
		r := v1alpha1.RunningImage{
			Namespace: pod.Namespace, Pod: pod.Name, Container: i.Container, Image: strings.Clone(image.Cut(i.Image, maxReference)),
			Standing: standing.String(), Message: image.Cut(i.Message, maxReference),
		}
		if !i.Digest.IsZero() {
			r.Digest = i.Digest.String()
		}
		c.worst = append(c.worst, ranked{standing, r})
		break
	}
	if len(c.worst) >= 2*maxWorst {
		c.cut()
	}
}

func (c *Census) cut() {
	slices.SortFunc(c.worst, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.standing.badness(), a.standing.badness()),
			cmp.Compare(a.image.Namespace, b.image.Namespace), cmp.Compare(a.image.Pod, b.image.Pod))
	})
	c.worst = c.worst[:min(len(c.worst), maxWorst)]
}

func (c *Census) finish(at time.Time) {
	c.At = at
	c.cut()
	for _, r := range c.worst {
		c.Worst = append(c.Worst, r.image)
	}
}

// Unverified is the number of Pods for which nothing vouches now.
func (c *Census) Unverified() int64 {
	var n int64
	for standing, count := range c.Counts {
		if standing.isUnverified() {
			n += count
		}
	}
	return n
}

// Status returns the census as a gate's status shows it.
func (c *Census) Status() v1alpha1.RunningStatus {
	at := metav1.NewTime(c.At).Rfc3339Copy() // as it is stored, or the same status would be written again and again
	s := v1alpha1.RunningStatus{
		ObservedAt: &at,
		Verified:   c.Counts[Verified], Expired: c.Counts[Expired], Failed: c.Counts[Failed],
		Unknown: c.Counts[Unknown], Exempt: c.Counts[Exempt], BreakGlass: c.Counts[BreakGlass],
		Unverified: c.Unverified(), Worst: c.Worst,
	}
	for _, n := range c.Counts {
		s.Pods += n
	}
	return s
}
