package gate

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestUsesListsEveryPlace(t *testing.T) {
	spec := &corev1.PodSpec{
		InitContainers:      []corev1.Container{{Name: "i", Image: "init"}},
		Containers:          []corev1.Container{{Name: "a", Image: "one"}, {Name: "b", Image: "two"}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Image: "debug"}}},
		Volumes: []corev1.Volume{{Name: "none"}, {Name: "v", VolumeSource: corev1.VolumeSource{
			Image: &corev1.ImageVolumeSource{Reference: "files"}}}},
	}
	want := []Use{
		{"spec.initContainers[0].image", "i", "init"},
		{"spec.containers[0].image", "a", "one"},
		{"spec.containers[1].image", "b", "two"},
		{"spec.ephemeralContainers[0].image", "e", "debug"},
		{"spec.volumes[1].image.reference", "v", "files"},
	}
	if diff := cmp.Diff(want, Uses(spec)); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

// A release of Kubernetes may add a place. Then Uses and the policies have to learn it.
func TestNoOtherFieldOfAPodNamesAnImage(t *testing.T) {
	known := map[string]bool{
		"InitContainers.Image": true, "Containers.Image": true,
		"EphemeralContainers.EphemeralContainerCommon.Image": true,
		"Volumes.VolumeSource.Image.Reference":               true,
		// The policy of pulling, and block devices of RBD volumes, are no container images.
		"Volumes.VolumeSource.RBD.RBDImage": true,
	}
	for _, path := range imageFields(reflect.TypeFor[corev1.PodSpec](), "", map[reflect.Type]bool{}) {
		if !known[path] {
			t.Errorf("spec has %s, which nobody looks at", path)
		}
	}
}

func imageFields(t reflect.Type, prefix string, within map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || within[t] {
		return nil
	}
	within[t] = true
	defer delete(within, t)
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		path := strings.TrimPrefix(prefix+"."+f.Name, ".")
		named := strings.Contains(f.Name, "Image") || strings.Contains(prefix, "Image") && f.Name == "Reference"
		if named && f.Type.Kind() == reflect.String && !strings.HasSuffix(f.Name, "Policy") {
			all = append(all, path)
		}
		all = append(all, imageFields(f.Type, path, within)...)
	}
	return all
}
