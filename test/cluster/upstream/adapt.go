package upstream

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// adapt changes object to suit one small node. The package's documentation lists the differences for users.
func adapt(object *unstructured.Unstructured) error {
	switch object.GetKind() {
	case "Deployment":
		return adaptDeployment(object)
	case "ConfigMap":
		return adaptConfigMap(object)
	default:
		return nil
	}
}

func adaptDeployment(object *unstructured.Unstructured) error {
	d := &appsv1.Deployment{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, d); err != nil {
		return err
	}
	one := int32(1)
	d.Spec.Replicas = &one
	pod := &d.Spec.Template.Spec
	pod.Affinity = nil
	// Upstream drains for up to five minutes, which nobody waits for here.
	grace := int64(10)
	pod.TerminationGracePeriodSeconds = &grace
	for i := range pod.Containers {
		adaptContainer(&pod.Containers[i])
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		return err
	}
	// Not ours to set, and a null in it would be applied as one.
	delete(content, "status")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	object.Object = content
	return nil
}

func adaptContainer(c *corev1.Container) {
	// Without limits: a limit on CPU makes the start of a controller take tens of seconds.
	c.Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("5m"),
		corev1.ResourceMemory: resource.MustParse("32Mi"),
	}}
	if p := c.ReadinessProbe; p != nil {
		p.InitialDelaySeconds, p.PeriodSeconds, p.FailureThreshold = 0, 1, 60
	}
	// Everything starts at once on few cores: what is slow is not dead.
	if p := c.LivenessProbe; p != nil {
		p.InitialDelaySeconds, p.PeriodSeconds, p.FailureThreshold, p.TimeoutSeconds = 60, 10, 6, 5
	}
	// The same for the EventListeners that Triggers' controller starts.
	setArgument(c.Args, "-period-seconds", "1")
	setArgument(c.Args, "-failure-threshold", "60")
	c.Env = slices.DeleteFunc(c.Env, isThirdPartyImage)
	c.Env = append(c.Env, corev1.EnvVar{Name: "KUBE_API_QPS", Value: "200"}, corev1.EnvVar{Name: "KUBE_API_BURST", Value: "400"})
}

// setArgument changes the value that follows flag, where the flag is given.
func setArgument(args []string, flag, value string) {
	if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
		args[i+1] = value
	}
}

// isThirdPartyImage tells whether the variable is the image of an IntegrationSource, IntegrationSink or EventTransform. They
// come from ConfigMaps with references into an outside registry.
func isThirdPartyImage(e corev1.EnvVar) bool {
	if e.ValueFrom == nil || e.ValueFrom.ConfigMapKeyRef == nil {
		return false
	}
	return slices.Contains([]string{"eventing-integrations-images", "eventing-transformations-images"}, e.ValueFrom.ConfigMapKeyRef.Name)
}

func adaptConfigMap(object *unstructured.Unstructured) error {
	if object.GetNamespace() != tektonNamespace {
		return nil
	}
	switch object.GetName() {
	case "feature-flags":
		return setFlags(object)
	case "config-defaults":
		return unstructured.SetNestedField(object.Object, initContainerResources, "data", "default-container-resource-requirements")
	default:
		return nil
	}
}

// initContainerResources are those of the containers that Tekton adds to a TaskRun's Pod. Its own limit is a hundredth of a
// CPU, with which copying the entrypoint takes nine seconds of every run; and 32 MiB are not enough where a sandbox's own
// memory counts as the container's.
const initContainerResources = `prepare:
  requests: {cpu: 5m, memory: 32Mi}
working-dir-initializer:
  requests: {cpu: 5m, memory: 32Mi}
place-scripts:
  requests: {cpu: 5m, memory: 32Mi}
`

func setFlags(object *unstructured.Unstructured) error {
	for flag, value := range map[string]string{
		// An affinity assistant is a Pod more for every run, to keep runs on one node. There is one node.
		"coschedule": "disabled",
		// Namespaces that enforce "restricted" accept the containers that Tekton adds.
		"set-security-context": "true",
		// Otherwise the first Step waits for the kubelet to bring an annotation into the Pod, in case a webhook injected a sidecar.
		"running-in-environment-with-injected-sidecars": "false",
		"send-cloudevents-for-runs":                     "false",
	} {
		// A flag that upstream has renamed or dropped would silently have no effect.
		if _, found, err := unstructured.NestedString(object.Object, "data", flag); err != nil || !found {
			return fmt.Errorf("there is no flag %q to set", flag)
		}
		if err := unstructured.SetNestedField(object.Object, value, "data", flag); err != nil {
			return err
		}
	}
	return nil
}
