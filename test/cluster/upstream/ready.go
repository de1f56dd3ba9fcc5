package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	pollInterval = 300 * time.Millisecond
	// progressInterval is how often somebody who waits reads a line.
	progressInterval = 5 * time.Second
)

// waitAvailable returns when every Deployment among the manifests is Available in the version that was applied.
func waitAvailable(ctx context.Context, client kubernetes.Interface, manifests []manifest, logf func(string, ...any)) error {
	var wanted []string
	for _, m := range manifests {
		if m.object.GetKind() == "Deployment" {
			wanted = append(wanted, m.object.GetNamespace()+"/"+m.object.GetName())
		}
	}
	start, said, missing := time.Now(), time.Now(), wanted
	for {
		now, err := unavailable(ctx, client, wanted)
		if err == nil && len(now) == 0 {
			return nil
		}
		if err == nil {
			missing = now
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("upstream: after %s these Deployments are not available: %s: %w",
				time.Since(start).Round(time.Second), explain(ctx, client, missing), err)
		}
		if time.Since(said) >= progressInterval {
			said = time.Now()
			logf("upstream: %d of %d Deployments available after %s, waiting for %s",
				len(wanted)-len(missing), len(wanted), time.Since(start).Round(time.Second), strings.Join(names(missing), ", "))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// unavailable returns those of wanted that are not available.
func unavailable(ctx context.Context, client kubernetes.Interface, wanted []string) ([]string, error) {
	available := map[string]bool{}
	for _, ns := range namespaces(wanted) {
		list, err := client.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return nil, fmt.Errorf("listing Deployments in %q: %w", ns, err)
		}
		for i := range list.Items {
			available[ns+"/"+list.Items[i].Name] = isAvailable(&list.Items[i])
		}
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(d string) bool { return available[d] }), nil
}

// isAvailable also asks that no Pod of an older version is left: one that still serves would answer for the new one.
func isAvailable(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas > 0 &&
		d.Status.AvailableReplicas == d.Status.Replicas && d.Status.UpdatedReplicas == d.Status.Replicas
}

// names drops the namespaces, for a line that a person reads.
func names(deployments []string) []string {
	var out []string
	for _, d := range deployments {
		_, name, _ := strings.Cut(d, "/")
		out = append(out, name)
	}
	return out
}

func namespaces(wanted []string) []string {
	var out []string
	for _, w := range wanted {
		ns, _, _ := strings.Cut(w, "/")
		if !slices.Contains(out, ns) {
			out = append(out, ns)
		}
	}
	return out
}

// explain says of each Deployment what its Pods wait for. The wait's own context is over.
func explain(ctx context.Context, client kubernetes.Interface, missing []string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), progressInterval)
	defer cancel()
	var out []string
	for _, d := range missing {
		ns, name, _ := strings.Cut(d, "/")
		list, err := client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			out = append(out, d)
			continue
		}
		reason := "no Pod"
		for i := range list.Items {
			if strings.HasPrefix(list.Items[i].Name, name+"-") {
				reason = podState(&list.Items[i])
			}
		}
		out = append(out, fmt.Sprintf("%s (%s)", d, reason))
	}
	return strings.Join(out, "; ")
}

func podState(p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil {
			state := strings.TrimSpace(w.Reason + " " + w.Message)
			if t := s.LastTerminationState.Terminated; t != nil {
				state += fmt.Sprintf(", ended with %d: %s", t.ExitCode, tail(t.Message))
			}
			return state
		}
		if !s.Ready {
			return "not ready"
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue && c.Message != "" {
			return c.Message
		}
	}
	return string(p.Status.Phase)
}
