package upgrade

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	structuralpruning "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/revet-dev/revet/test/cluster/fast/crd"
)

// schema is what a version's API server holds objects of one kind against.
type schema struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
}

// Unreadable says what of the stored objects the version with the CRDs in dir does not know or would
// refuse: an unknown field would be dropped by its next write, and a refused value would make every
// write of that object fail.
func Unreadable(dir string, content []Pair) (problems []string, err error) {
	crds, err := crd.Load(dir)
	if err != nil {
		return nil, err
	}
	schemas := map[string]schema{}
	for _, c := range crds {
		s, err := schemaOf(c)
		if err != nil {
			return nil, fmt.Errorf("reading the CRD %q: %w", c.Name, err)
		}
		schemas["/"+c.Spec.Group+"/"+c.Spec.Names.Plural+"/"] = s
	}
	for _, p := range content {
		for part, s := range schemas {
			if !strings.Contains(p.Key, part) {
				continue
			}
			found, err := s.check(p)
			if err != nil {
				return nil, err
			}
			problems = append(problems, found...)
		}
	}
	slices.Sort(problems)
	return problems, nil
}

func schemaOf(c *apiextensionsv1.CustomResourceDefinition) (schema, error) {
	if len(c.Spec.Versions) != 1 {
		return schema{}, fmt.Errorf("%d versions, want one", len(c.Spec.Versions))
	}
	internal := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(c.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil)
	if err != nil {
		return schema{}, err
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		return schema{}, err
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	return schema{structural, validator}, err
}

func (s schema) check(p Pair) (problems []string, err error) {
	var object map[string]any
	if err := json.Unmarshal(p.JSON, &object); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", p.Key, err)
	}
	for _, e := range validation.ValidateCustomResource(field.NewPath(""), object, s.validator) {
		problems = append(problems, p.Key+": refused: "+e.Error())
	}
	unknown := structuralpruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		problems = append(problems, p.Key+": unknown field "+path)
	}
	return problems, nil
}
