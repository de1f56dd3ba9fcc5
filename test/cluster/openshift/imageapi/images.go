package imageapi

import (
	"context"

	imagev1 "github.com/openshift/api/image/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
)

// imageStrategy is what happens to an Image that a client writes: labels, annotations and signatures may change, what
// the image is may not.
type imageStrategy struct {
	runtime.ObjectTyper
	names.NameGenerator
}

func (imageStrategy) NamespaceScoped() bool          { return false }
func (imageStrategy) AllowCreateOnUpdate() bool      { return false }
func (imageStrategy) AllowUnconditionalUpdate() bool { return false }
func (imageStrategy) Canonicalize(runtime.Object)    {}

func (imageStrategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }
func (imageStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (imageStrategy) PrepareForCreate(context.Context, runtime.Object) {}

func (imageStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	image, previous := obj.(*imagev1.Image), old.(*imagev1.Image)
	kept := previous.DeepCopy()
	kept.ObjectMeta = image.ObjectMeta
	kept.Signatures = image.Signatures
	*image = *kept
}

// Validate refuses an index with a child that names no platform. Its push fails for that.
func (imageStrategy) Validate(_ context.Context, obj runtime.Object) (errs field.ErrorList) {
	for i, child := range obj.(*imagev1.Image).DockerImageManifests {
		path := field.NewPath("dockerImageManifests").Index(i)
		for name, value := range map[string]string{
			"digest": child.Digest, "mediaType": child.MediaType, "architecture": child.Architecture, "os": child.OS,
		} {
			if value == "" {
				errs = append(errs, field.Required(path.Child(name), ""))
			}
		}
	}
	return errs
}

func (imageStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

func newImages(typer runtime.ObjectTyper, options generic.RESTOptionsGetter) (*genericregistry.Store, error) {
	strategy := imageStrategy{ObjectTyper: typer, NameGenerator: names.SimpleNameGenerator}
	resource := imagev1.Resource("images")
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &imagev1.Image{} },
		NewListFunc:               func() runtime.Object { return &imagev1.ImageList{} },
		DefaultQualifiedResource:  resource,
		SingularQualifiedResource: imagev1.Resource("image"),
		CreateStrategy:            strategy,
		UpdateStrategy:            strategy,
		DeleteStrategy:            strategy,
		TableConvertor:            rest.NewDefaultTableConvertor(resource),
	}
	return store, store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: options})
}
