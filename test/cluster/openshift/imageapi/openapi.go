package imageapi

import (
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	apiextensionsopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// describe gives the server the API description that it cannot do without. Objects are described by their metadata
// alone: the Go types decide what is decoded, and OpenShift's own description is larger than this module.
func describe(c *genericapiserver.RecommendedConfig, scheme *runtime.Scheme) {
	namer := openapinamer.NewDefinitionNamer(scheme)
	c.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	c.OpenAPIConfig.Info.Title = "Emulated OpenShift image API"
	c.OpenAPIConfig.GetDefinitionName = definitionName(namer)
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	c.OpenAPIV3Config.Info.Title = c.OpenAPIConfig.Info.Title
	c.OpenAPIV3Config.GetDefinitionName = definitionName(namer)
	c.OpenAPIV3Config.Definitions = definitions(func(name string) spec.Ref {
		name, _ = c.OpenAPIV3Config.GetDefinitionName(name)
		return spec.MustCreateRef("#/components/schemas/" + common.EscapeJsonPointer(name))
	})
}

// definitionName finds the kind that belongs to a definition. Kubernetes' types say what they are called, OpenShift's do
// not and come as the path of a Go type, while the namer knows every type by the other form only.
func definitionName(namer *openapinamer.DefinitionNamer) func(string) (string, spec.Extensions) {
	return func(name string) (string, spec.Extensions) {
		if strings.Contains(name, "/") {
			name = util.ToRESTFriendlyName(name)
		}
		return namer.GetDefinitionName(name)
	}
}

func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	// Borrowed for metadata, options and statuses.
	all := apiextensionsopenapi.GetOpenAPIDefinitions(ref)
	for _, object := range []any{imagev1.Image{}, imagev1.ImageStream{}, imagev1.ImageStreamTag{}, imagev1.ImageStreamMapping{}} {
		all[util.GetCanonicalTypeName(object)] = objectDefinition(ref, metav1.ObjectMeta{}.OpenAPIModelName(), nil)
	}
	for list, item := range map[any]any{
		&imagev1.ImageList{}:       imagev1.Image{},
		&imagev1.ImageStreamList{}: imagev1.ImageStream{},
	} {
		name := util.GetCanonicalTypeName(item)
		all[util.GetCanonicalTypeName(list)] = objectDefinition(ref, metav1.ListMeta{}.OpenAPIModelName(), &name)
	}
	return all
}

func objectDefinition(ref common.ReferenceCallback, metadata string, item *string) common.OpenAPIDefinition {
	text := spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"string"}}}
	d := common.OpenAPIDefinition{
		Schema: spec.Schema{
			SchemaProps: spec.SchemaProps{
				Type: []string{"object"},
				Properties: map[string]spec.Schema{
					"apiVersion": text,
					"kind":       text,
					"metadata":   {SchemaProps: spec.SchemaProps{Default: map[string]any{}, Ref: ref(metadata)}},
				},
			},
			VendorExtensible: spec.VendorExtensible{
				Extensions: spec.Extensions{"x-kubernetes-preserve-unknown-fields": true},
			},
		},
		Dependencies: []string{metadata},
	}
	if item != nil {
		d.Schema.Properties["items"] = spec.Schema{SchemaProps: spec.SchemaProps{
			Type:  []string{"array"},
			Items: &spec.SchemaOrArray{Schema: &spec.Schema{SchemaProps: spec.SchemaProps{Ref: ref(*item)}}},
		}}
		d.Dependencies = append(d.Dependencies, *item)
	}
	return d
}
