package team

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// clusterKinds are the kinds of the pipeline's manifests that belong to no namespace.
var clusterKinds = map[string]bool{"ClusterInterceptor": true, "ClusterRole": true, "ClusterRoleBinding": true}

// split returns the documents of a stream of YAML.
func split(stream string) []string {
	var documents []string
	var document strings.Builder
	for line := range strings.Lines(stream) {
		if strings.TrimRight(line, " \r\n") != "---" {
			document.WriteString(line)
			continue
		}
		documents = append(documents, document.String())
		document.Reset()
	}
	return append(documents, document.String())
}

// placeAll puts the objects of a stream into a namespace, and changes nothing else: comments
// stay as they are.
func placeAll(stream, namespace string) (string, error) {
	var out strings.Builder
	for i, document := range split(stream) {
		placed, err := place(document, namespace)
		if err != nil {
			return "", fmt.Errorf("document %d of the pipeline: %w", i+1, err)
		}
		if placed == "" {
			continue
		}
		out.WriteString("---\n" + strings.TrimRight(placed, "\n") + "\n")
	}
	if out.Len() == 0 {
		return "", fmt.Errorf("the pipeline has no manifests; give what 'ko resolve -f triggers/' prints")
	}
	return out.String(), nil
}

// place puts the object of a document into a namespace. It returns "" for a document that
// has none.
func place(document, namespace string) (string, error) {
	const line = "\nmetadata:\n"
	before, err := header(document)
	switch {
	case err != nil:
		return "", err
	case before.Kind == "" && before.Metadata.Name == "":
		return "", nil
	case clusterKinds[before.Kind]:
		return document, nil
	case before.Metadata.Namespace != "":
		return "", fmt.Errorf("%s %q names the namespace %q; give manifests without one, as triggers/ are",
			before.Kind, before.Metadata.Name, before.Metadata.Namespace)
	}
	placed := strings.Replace(document, line, line+"  namespace: "+namespace+"\n", 1)
	after, err := header(placed)
	if err != nil || after.Metadata.Namespace != namespace || after.Metadata.Name != before.Metadata.Name {
		return "", fmt.Errorf("%s %q is not written as ko writes it: its line \"metadata:\" and those below it, two spaces in; "+
			"give what 'ko resolve -f triggers/' prints", before.Kind, before.Metadata.Name)
	}
	return placed, nil
}

// head is what place reads of an object.
type head struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

func header(document string) (head, error) {
	var h head
	if err := yaml.Unmarshal([]byte(document), &h); err != nil {
		return head{}, fmt.Errorf("it is no YAML: %w", err)
	}
	return h, nil
}
