package comparesandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/nodeusage"
)

const (
	probePoll = 250 * time.Millisecond
	// probeTimeout is the most time for a Pod of the probe to do what it has to.
	probeTimeout = 2 * time.Minute
)

// probe is a Pod that reads the node.
type probe struct {
	c       *comparison
	pod     *corev1.Pod
	version int
}

// probeLine is a line of its log: the first is ready, each other one a Pod.
type probeLine struct {
	Ready         bool `json:"ready"`
	CgroupVersion int  `json:"cgroupVersion"`
	nodeusage.Ended
}

// startProbe starts it, and returns it too with an error if it has to be removed.
func (c *comparison) startProbe(ctx context.Context) (*probe, error) {
	p := &probe{c: c, pod: c.probePod("probe", []string{"watch", "--cgroup=/host/cgroup"})}
	p.pod.Spec.HostPID = true // the processes of Pods, whose network is read through them
	mount(p.pod, "/sys/fs/cgroup", "/host/cgroup", corev1.HostPathDirectory, true)
	if err := c.createProbe(ctx, p.pod); err != nil {
		return nil, err
	}
	err := c.awaitProbe(ctx, p.pod, func(ctx context.Context) (bool, error) {
		lines, err := p.lines(ctx)
		if err != nil || len(lines) == 0 || !lines[0].Ready {
			return false, err
		}
		p.version = lines[0].CgroupVersion
		return true, nil
	})
	return p, err
}

// await returns what the node tells of Pods that have ended, by their UIDs.
func (p *probe) await(ctx context.Context, pods []corev1.Pod) (map[string]nodeusage.Ended, error) {
	told := map[string]nodeusage.Ended{}
	err := p.c.awaitProbe(ctx, p.pod, func(ctx context.Context) (bool, error) {
		lines, err := p.lines(ctx)
		if err != nil {
			return false, err
		}
		for _, line := range lines {
			told[line.UID] = line.Ended
		}
		for i := range pods {
			if _, known := told[string(pods[i].UID)]; !known {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for what the node tells of %d Pods: %w", len(pods), err)
	}
	return told, nil
}

// lines reads what was printed so far.
func (p *probe) lines(ctx context.Context) ([]probeLine, error) {
	log, err := p.c.cl.Logs(ctx, p.pod.Namespace, p.pod.Name, &corev1.PodLogOptions{})
	if err != nil {
		return nil, nil // there is no log before the container has started
	}
	var lines []probeLine
	for line := range bytes.Lines(log) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		if !bytes.HasPrefix(line, []byte("{")) {
			continue // why it fails, which is told when it has failed
		}
		var l probeLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("the probe printed %q, which is not what this version of the command expects; give the --probe-image of the same version", command.OneLine(string(line)))
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// removeImages removes images from the node.
func (c *comparison) removeImages(ctx context.Context, images []string) (err error) {
	pod := c.probePod("images", append([]string{"remove-images", "--endpoint=/host/runtime.sock"}, images...))
	pod.GenerateName, pod.Name = pod.Name+"-", ""
	// The socket is root's; nothing else of what root may is needed.
	root, no := int64(0), false
	pod.Spec.Containers[0].SecurityContext.RunAsUser = &root
	pod.Spec.Containers[0].SecurityContext.RunAsNonRoot = &no
	mount(pod, c.runtimeEndpoint, "/host/runtime.sock", corev1.HostPathSocket, false)
	if err := c.createProbe(ctx, pod); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.remove(ctx, pod)) }()
	return c.awaitProbe(ctx, pod, func(context.Context) (bool, error) { return pod.Status.Phase == corev1.PodSucceeded, nil })
}

func (c *comparison) createProbe(ctx context.Context, pod *corev1.Pod) error {
	err := c.cl.Writer.Create(ctx, pod)
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "PodSecurity"):
		return fmt.Errorf("creating the Pod that looks at the node: %w; name a namespace that allows the level privileged with --probe-namespace", err)
	default:
		return fmt.Errorf("creating the Pod that looks at the node: %w", err)
	}
}

// awaitProbe reads the Pod until done, and says what keeps it from that.
func (c *comparison) awaitProbe(ctx context.Context, pod *corev1.Pod, done func(context.Context) (bool, error)) error {
	waits := "it is not scheduled"
	err := wait.PollUntilContextTimeout(ctx, probePoll, probeTimeout, true, func(ctx context.Context) (bool, error) {
		if err := c.cl.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			if apierrors.IsNotFound(err) {
				return false, fmt.Errorf("the Pod %q that looks at the node was removed by somebody else", pod.Name)
			}
			return false, nil // the API server may be away for a while
		}
		if pod.Status.Phase == corev1.PodFailed {
			log, _ := c.cl.Logs(ctx, pod.Namespace, pod.Name, &corev1.PodLogOptions{})
			return false, fmt.Errorf("the Pod %q that looks at the node failed: %s %s", pod.Name, pod.Status.Message, command.OneLine(string(log)))
		}
		if ok, err := done(ctx); ok || err != nil {
			return ok, err
		}
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Waiting != nil {
				waits = strings.TrimSpace(s.State.Waiting.Reason + " " + command.OneLine(s.State.Waiting.Message))
			}
		}
		return false, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("the Pod %q of namespace %q, which looks at the node, did not do so within %s (%s)", pod.Name, pod.Namespace, probeTimeout, waits)
	}
	return err
}

// probePod is a Pod on the chosen node without any right of its own.
func (c *comparison) probePod(kind string, args []string) *corev1.Pod {
	yes, no := true, false
	deadline := int64(c.everything() / time.Second)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "revet-" + kind + "-" + c.id, Namespace: c.probeNamespace,
			Labels: map[string]string{comparisonLabel: c.id},
		},
		Spec: corev1.PodSpec{
			NodeName:                     c.node.Name,
			Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			RestartPolicy:                corev1.RestartPolicyNever,
			AutomountServiceAccountToken: &no,
			EnableServiceLinks:           &no,
			ActiveDeadlineSeconds:        &deadline,
			Containers: []corev1.Container{{
				Name: "probe", Image: c.probeImage, Args: args,
				SecurityContext: &corev1.SecurityContext{
					RunAsNonRoot:           &yes,
					ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
					Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
					SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
				},
			}},
		},
	}
}

// mount gives a Pod a path of the node.
func mount(pod *corev1.Pod, path, at string, kind corev1.HostPathType, readOnly bool) {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}},
	})
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "node", MountPath: at, ReadOnly: readOnly})
}
