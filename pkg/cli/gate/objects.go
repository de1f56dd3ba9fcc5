package gate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/gate"
)

// object is what makes Pods, or one of the Pods that it makes.
type object struct {
	namespace string
	// name is kind and name, as in Deployment web.
	name string
	// spec and labels are those of the Pod.
	spec   corev1.PodSpec
	labels map[string]string
	// annotations matter to other admission, which a dry run meets.
	annotations map[string]string
	uses        []gate.Use
}

// input is what the command is asked about.
type input struct {
	// namespace is that of objects which name none.
	namespace string
	objects   []object
	// namespaces are the labels of those in the files.
	namespaces map[string]map[string]string
	// other counts the objects that make no Pods, by kind.
	other map[string]int
}

// addImage adds an image as that of a Pod of its own.
func (in *input) addImage(image string) {
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "image", Image: image}}}
	in.objects = append(in.objects, object{namespace: in.namespace, name: "--image", spec: spec, uses: gate.Uses(&spec)})
}

// read reads all documents of a file.
func (in *input) read(name string, r io.Reader) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(r))
	for i := 1; ; i++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		var content map[string]any
		if err := sigsyaml.Unmarshal(document, &content); err != nil {
			return fmt.Errorf("reading document %d of %s: %w", i, name, err)
		}
		if len(content) == 0 {
			continue
		}
		if err := in.add(&unstructured.Unstructured{Object: content}); err != nil {
			return fmt.Errorf("document %d of %s: %w", i, name, err)
		}
	}
}

// add adds an object, or each of a list.
func (in *input) add(u *unstructured.Unstructured) error {
	if u.GetKind() == "" {
		return errors.New("it has no kind, and is no Kubernetes object")
	}
	if items, ok := u.Object["items"].([]any); ok && strings.HasSuffix(u.GetKind(), "List") {
		for i, item := range items {
			content, ok := item.(map[string]any)
			if !ok {
				return fmt.Errorf("items[%d] is no object", i)
			}
			one := &unstructured.Unstructured{Object: content}
			if one.GetKind() == "" { // lists of one kind leave it out
				one.SetKind(strings.TrimSuffix(u.GetKind(), "List"))
			}
			if err := in.add(one); err != nil {
				return fmt.Errorf("items[%d]: %w", i, err)
			}
		}
		return nil
	}
	if u.GetKind() == "Namespace" {
		in.namespaces[u.GetName()] = u.GetLabels()
	}
	found := len(in.objects)
	if err := in.addPods(u, u.Object, ""); err != nil {
		return fmt.Errorf("%s %q: %w", u.GetKind(), u.GetName(), err)
	}
	if found == len(in.objects) {
		if in.other == nil {
			in.other = map[string]int{}
		}
		in.other[u.GetKind()]++
	}
	return nil
}

// addPods adds every Pod's spec within an object: by what it is, as any kind may have one.
func (in *input) addPods(u *unstructured.Unstructured, within map[string]any, path string) error {
	if spec, ok := within["spec"].(map[string]any); ok && isPodSpec(spec) {
		return in.addPod(u, within, spec, path)
	}
	for _, key := range slices.Sorted(maps.Keys(within)) {
		at := strings.TrimPrefix(path+"."+key, ".")
		switch value := within[key].(type) {
		case map[string]any:
			if err := in.addPods(u, value, at); err != nil {
				return err
			}
		case []any:
			for i, item := range value {
				if m, ok := item.(map[string]any); ok {
					if err := in.addPods(u, m, fmt.Sprintf("%s[%d]", at, i)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// isPodSpec reports whether something is a Pod's spec: it has containers.
func isPodSpec(spec map[string]any) bool {
	_, ok := spec["containers"].([]any)
	return ok
}

func (in *input) addPod(u *unstructured.Unstructured, template, spec map[string]any, path string) error {
	o := object{namespace: u.GetNamespace(), name: strings.TrimSpace(u.GetKind() + " " + u.GetName())}
	if o.namespace == "" {
		o.namespace = in.namespace
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &o.spec); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimPrefix(path+".spec", "."), err)
	}
	meta := unstructured.Unstructured{Object: template}
	o.labels, o.annotations = meta.GetLabels(), meta.GetAnnotations()
	for _, use := range gate.Uses(&o.spec) {
		use.Field = strings.TrimPrefix(path+"."+use.Field, ".")
		o.uses = append(o.uses, use)
	}
	in.objects = append(in.objects, o)
	return nil
}
