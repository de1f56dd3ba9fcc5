package team

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/eventing"
	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// triggerName is the ImageTrigger of every team, which gates name.
	triggerName = "images"
	// The accounts of a verification namespace: with whose rights the trigger sees
	// ImageStreams, and with whose the pipeline pulls.
	triggerAccount, runAccount = "default", "scan-and-validate"
	// publishAccount is the one with whose rights reports are pushed from a Pod of its own.
	publishAccount = "scan-and-validate-publish"
	// sourceLabel lets Pods of a namespace reach Revet's receiver.
	sourceLabel = "revet.dev/source"
)

// object is what is printed of an object. Its keys are printed in alphabetical order.
type object = map[string]any

// manifests returns all that the team needs, as YAML documents.
func (o *options) manifests(name, pipeline string) (string, error) {
	own := name + suffix
	objects := []object{{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": object{"name": own, "labels": object{teamLabel: name, sourceLabel: "true"}},
	}}
	if len(o.groups) > 0 {
		objects = append(objects, o.view(name))
	}
	for _, namespace := range o.namespaces {
		objects = append(objects, access(name, namespace, triggerAccount, "streams", []string{"imagestreams"}, "get", "list")...)
		objects = append(objects, access(name, namespace, runAccount, "pull", []string{"imagestreams/layers"}, "get")...)
		if o.apart {
			objects = append(objects, access(name, namespace, publishAccount, "push", []string{"imagestreams/layers"}, "get", "update")...)
		}
	}
	if len(o.namespaces) > 0 && !o.noSource {
		source, err := o.source(name)
		if err != nil {
			return "", err
		}
		objects = append(objects, source...)
	}
	before, err := documents(objects...)
	if err != nil {
		return "", err
	}
	placed, err := placeAll(pipeline, own)
	if err != nil {
		return "", err
	}
	after, err := documents(o.trigger(own))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("# Team %s: its images are verified in namespace %s, which it views and does not edit.\n", name, own) +
		before + placed + after, nil
}

// documents prints objects as YAML.
func documents(objects ...object) (string, error) {
	var out strings.Builder
	for _, object := range objects {
		text, err := yaml.Marshal(object)
		if err != nil {
			return "", fmt.Errorf("printing the manifests: %w", err)
		}
		fmt.Fprintf(&out, "---\n%s", text)
	}
	return out.String(), nil
}

// view lets the groups view the verification namespace, and edit nothing there.
func (o *options) view(name string) object {
	var subjects []any
	for _, group := range o.groups {
		subjects = append(subjects, object{"apiGroup": rbacv1.GroupName, "kind": rbacv1.GroupKind, "name": group})
	}
	return object{
		"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "RoleBinding",
		"metadata": object{"name": "team-view", "namespace": name + suffix},
		"roleRef":  object{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": "view"},
		"subjects": subjects,
	}
}

// access gives an account of the verification namespace rights to ImageStreams of one of the
// team's. OpenShift's registry asks for those of the group "" as well.
func access(name, namespace, account, what string, resources []string, verbs ...string) []object {
	own := name + suffix
	return binding(name, namespace, own+"-"+what, account, []any{object{
		"apiGroups": []string{"", "image.openshift.io"}, "resources": resources, "verbs": verbs,
	}})
}

// binding gives an account of the verification namespace a role in one of the team's.
func binding(name, namespace, role, account string, rules []any) []object {
	metadata := object{"name": role, "namespace": namespace, "labels": object{teamLabel: name}}
	return []object{
		{"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "Role", "metadata": metadata, "rules": rules},
		{
			"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "RoleBinding", "metadata": metadata,
			"roleRef":  object{"apiGroup": rbacv1.GroupName, "kind": "Role", "name": role},
			"subjects": []any{object{"kind": rbacv1.ServiceAccountKind, "name": account, "namespace": name + suffix}},
		},
	}
}

// selector selects exactly the team's namespaces, by a label that the API server sets and
// nobody can give to another.
func (o *options) selector() object {
	return object{"matchExpressions": []any{
		object{"key": corev1.LabelMetadataName, "operator": "In", "values": o.namespaces},
	}}
}

func (o *options) trigger(own string) object {
	var images []any
	if len(o.namespaces) > 0 {
		images = append(images, object{"imageStreams": object{"namespaceSelector": o.selector()}})
	}
	for _, repository := range o.repositories {
		images = append(images, object{"repository": repository})
	}
	spec := object{"images": images, "sink": object{"ref": object{"name": "scan-and-validate"}}}
	if o.class != "" {
		spec["sandbox"] = object{"runtimeClassName": o.class}
	}
	return object{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ImageTrigger",
		"metadata": object{"name": triggerName, "namespace": own}, "spec": spec,
	}
}

// source returns eventing/ for the team: the source in the verification namespace, and the
// rights of its account in each of the team's.
func (o *options) source(name string) ([]object, error) {
	var objects []object
	for _, document := range split(string(eventing.Source())) {
		var read object
		if err := yaml.Unmarshal([]byte(document), &read); err != nil {
			return nil, fmt.Errorf("reading the manifest of the source: %w", err)
		}
		metadata, _ := read["metadata"].(object)
		switch read["kind"] {
		case "Role":
			rules, _ := read["rules"].([]any)
			for _, namespace := range o.namespaces {
				objects = append(objects, binding(name, namespace, name+suffix+"-source", sourceAccount, rules)...)
			}
			continue
		case "RoleBinding":
			continue // binding makes one for each namespace
		case "ApiServerSource":
			spec, ok := read["spec"].(object)
			if !ok || spec["serviceAccountName"] != sourceAccount {
				return nil, fmt.Errorf("the manifest of the source does not run as %q", sourceAccount)
			}
			spec["namespaceSelector"] = o.selector()
		}
		metadata["namespace"] = name + suffix
		objects = append(objects, read)
	}
	return objects, nil
}

// sourceAccount is the account of the source in eventing/.
const sourceAccount = "revet-source"
