package stack

import (
	"context"
	"fmt"
)

// Source says how a namespace's changes reach the receiver.
type Source string

// The ways to the receiver.
const (
	Direct  Source = "eventing/"        // ApiServerSource straight to the receiver
	Brokers Source = "eventing/broker/" // ApiServerSource, Broker, Trigger, receiver
	None    Source = ""                 // no source: the registry's notifications, or sweeps
)

// AddNamespace makes a namespace whose pushed images are verified under the
// RuntimeClass kata, by the repository's own manifests.
func (s *Stack) AddNamespace(ctx context.Context, namespace string, source Source) error {
	if err := s.apply(ctx, namespaceYAML(namespace)); err != nil {
		return err
	}
	if err := s.KoApply(ctx, ".", "-f", "triggers/", "--", "--namespace", namespace); err != nil {
		return err
	}
	if source != None {
		if _, err := s.Kubectl(ctx, "apply", "--namespace", namespace, "-f", string(source)); err != nil {
			return err
		}
	}
	return s.NameRegistry(ctx, namespace)
}

// NameRegistry lets the pipeline of a namespace pull from the local registry.
func (s *Stack) NameRegistry(ctx context.Context, namespace string) error {
	return s.apply(ctx, pipelineRegistryYAML(namespace, s.Info.RegistryInCluster))
}

// AddTrigger declares that every ImageStream of the namespace is verified, and
// waits until a push would be.
func (s *Stack) AddTrigger(ctx context.Context, namespace string) error {
	if err := s.apply(ctx, triggerYAML(namespace)); err != nil {
		return err
	}
	if _, err := s.Kubectl(ctx, "wait", "--namespace", namespace, "--for=condition=Ready", "imagetrigger/everything", "--timeout=120s"); err != nil {
		return err
	}
	return nil
}

// WaitSource waits until the namespace's ApiServerSource watches.
func (s *Stack) WaitSource(ctx context.Context, namespace string) error {
	if _, err := s.Kubectl(ctx, "wait", "--namespace", namespace, "--for=condition=Ready", "apiserversource", "--all", "--timeout=120s"); err != nil {
		return err
	}
	return nil
}

func namespaceYAML(namespace string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata:
  name: %[1]s
  labels:
    revet.dev/source: "true"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: read-streams
  namespace: %[1]s
rules:
- apiGroups: [image.openshift.io]
  resources: [imagestreams]
  verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: read-streams
  namespace: %[1]s
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: read-streams
subjects:
- kind: ServiceAccount
  name: default
  namespace: %[1]s
`, namespace)
}

func triggerYAML(namespace string) string {
	return fmt.Sprintf(`apiVersion: revet.dev/v1alpha1
kind: ImageTrigger
metadata:
  name: everything
  namespace: %s
spec:
  images:
  - imageStreams: {names: ["*"]}
  sink: {ref: {name: scan-and-validate}}
  sandbox: {runtimeClassName: kata}
`, namespace)
}

// localRegistry lets Revet read the local registry over plain HTTP.
func localRegistry(host string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: config-registries
  namespace: %s
  labels:
    app.kubernetes.io/part-of: revet
data:
  registries.yaml: |
    - name: local
      host: %s
      insecure: true
      namespaces: ["*"]
`, System, host)
}

// pipelineRegistryYAML lets the pipeline's Pods pull from the local registry
// over plain HTTP.
func pipelineRegistryYAML(namespace, host string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: revet-registries
  namespace: %s
data:
  insecure: |
    %s
`, namespace, host)
}
