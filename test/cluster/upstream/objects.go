package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// stage is when an object is applied. A later stage needs what an earlier one brought.
type stage int

const (
	// never is for what this installation leaves out.
	never stage = iota
	// definitions are namespaces and CRDs.
	definitions
	// settings are what Pods and controllers read when they start.
	settings
	// workloads are Deployments, and the webhooks that they serve.
	workloads
)

// target is how objects of one kind are applied.
type target struct {
	schema.GroupVersionResource
	stage stage
}

// targets lists every kind that upstream's manifests hold.
func targets() map[schema.GroupVersionKind]target {
	table := map[schema.GroupVersionKind]target{}
	for _, r := range []struct {
		group, version, kind, plural string
		stage                        stage
	}{
		{"", "v1", "Namespace", "namespaces", definitions},
		{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", definitions},
		{"", "v1", "ServiceAccount", "serviceaccounts", settings},
		{"", "v1", "ConfigMap", "configmaps", settings},
		{"", "v1", "Secret", "secrets", settings},
		{"", "v1", "Service", "services", settings},
		{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", settings},
		{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", settings},
		{"rbac.authorization.k8s.io", "v1", "Role", "roles", settings},
		{"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", settings},
		{"triggers.tekton.dev", "v1alpha1", "ClusterInterceptor", "clusterinterceptors", settings},
		{"apps", "v1", "Deployment", "deployments", workloads},
		{"admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", workloads},
		{"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", workloads},
		{"autoscaling", "v2", "HorizontalPodAutoscaler", "", never},
		{"policy", "v1", "PodDisruptionBudget", "", never},
	} {
		gv := schema.GroupVersion{Group: r.group, Version: r.version}
		table[gv.WithKind(r.kind)] = target{GroupVersionResource: gv.WithResource(r.plural), stage: r.stage}
	}
	return table
}

// manifest is an object with the way it is applied.
type manifest struct {
	target
	object *unstructured.Unstructured
}

func (m manifest) String() string {
	if ns := m.object.GetNamespace(); ns != "" {
		return fmt.Sprintf("%s %s/%s", m.object.GetKind(), ns, m.object.GetName())
	}
	return fmt.Sprintf("%s %s", m.object.GetKind(), m.object.GetName())
}

// client returns the client for the object's kind, in its namespace if it has one.
func (m manifest) client(d dynamic.Interface) dynamic.ResourceInterface {
	if ns := m.object.GetNamespace(); ns != "" {
		return d.Resource(m.GroupVersionResource).Namespace(ns)
	}
	return d.Resource(m.GroupVersionResource)
}

// load returns what c's files are in this installation, in the order of stages.
func (c component) load(files map[string][]byte, refs references) ([]manifest, error) {
	table := targets()
	var out []manifest
	for path, data := range files {
		objects, err := decode(data)
		if err != nil {
			return nil, fmt.Errorf("upstream: reading manifest %q of %s: %w", path, c.name, err)
		}
		for _, object := range objects {
			r, found := table[object.GroupVersionKind()]
			if !found {
				return nil, fmt.Errorf("upstream: manifest %q of %s holds a %s, which is not known here: add it to the table of targets", path, c.name, object.GroupVersionKind())
			}
			if r.stage == never {
				continue
			}
			content, err := c.replaceImages(object.Object, refs)
			if err != nil {
				return nil, err
			}
			object.Object, _ = content.(map[string]any)
			if err := adapt(object); err != nil {
				return nil, fmt.Errorf("upstream: adapting %s %q of %s: %w", object.GetKind(), object.GetName(), c.name, err)
			}
			out = append(out, manifest{target: r, object: object})
		}
	}
	slices.SortFunc(out, func(a, b manifest) int {
		if a.stage != b.stage {
			return int(a.stage - b.stage)
		}
		return strings.Compare(a.String(), b.String())
	})
	return out, nil
}

// decode returns the objects in a YAML file; documents that hold nothing but comments are none.
func decode(data []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		object := map[string]any{}
		if err := yaml.Unmarshal(document, &object); err != nil {
			return nil, err
		}
		if len(object) > 0 {
			out = append(out, &unstructured.Unstructured{Object: object})
		}
	}
}
