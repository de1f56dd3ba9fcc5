package commandtest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Description is a cluster as a YAML file describes it: objects, and
// comments "# lacks: KINDS", "# forbidden: KINDS", "# failing: KINDS" and "# denied:
// RESOURCES", which no account may touch. A forbidden KIND/all may not be listed in all
// namespaces, and the API server answers reads of a failing kind with an error.
type Description struct {
	Objects                           []client.Object
	Lacks, Forbidden, Failing, Denied []string
}

// ReadObjects reads a description.
func ReadObjects(t *testing.T, file string, scheme *runtime.Scheme) Description {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s Description
	for name, into := range map[string]*[]string{"lacks": &s.Lacks, "forbidden": &s.Forbidden, "failing": &s.Failing, "denied": &s.Denied} {
		for line := range strings.Lines(string(content)) {
			if rest, ok := strings.CutPrefix(line, "# "+name+": "); ok {
				*into = strings.Fields(rest)
			}
		}
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		typed, err := scheme.New(u.GroupVersionKind())
		if runtime.IsNotRegisteredError(err) {
			s.Objects = append(s.Objects, u)
			continue
		}
		if err == nil {
			err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, typed, true)
		}
		if err != nil {
			t.Fatalf("%s: %s %q: %v", file, u.GetKind(), u.GetName(), err)
		}
		s.Objects = append(s.Objects, typed.(client.Object))
	}
}
