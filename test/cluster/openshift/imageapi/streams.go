package imageapi

import (
	"context"
	"fmt"
	"slices"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/client-go/kubernetes"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

// streamStrategy is what happens to an ImageStream that a client writes.
type streamStrategy struct {
	runtime.ObjectTyper
	names.NameGenerator

	hosts Hosts
	now   func() time.Time
	// streams reads other streams. It is set once the store exists.
	streams rest.Getter
	// reviews asks what a client may do in another namespace.
	reviews authorizationv1client.SubjectAccessReviewInterface
}

func (*streamStrategy) NamespaceScoped() bool          { return true }
func (*streamStrategy) AllowCreateOnUpdate() bool      { return false }
func (*streamStrategy) AllowUnconditionalUpdate() bool { return false }
func (*streamStrategy) Canonicalize(runtime.Object)    {}

func (*streamStrategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }
func (*streamStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// PrepareForCreate starts the status anew: a client cannot bring one.
func (s *streamStrategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	stream := obj.(*imagev1.ImageStream)
	stream.Generation = 1
	stream.Status = imagev1.ImageStreamStatus{}
	complete(stream, nil)
	s.followSpec(ctx, stream, nil)
}

// PrepareForUpdate keeps the status, except for what follows from the new spec.
func (s *streamStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	stream, previous := obj.(*imagev1.ImageStream), old.(*imagev1.ImageStream)
	stream.Generation = previous.Generation
	stream.Status = *previous.Status.DeepCopy()
	complete(stream, previous)
	if apiequality.Semantic.DeepEqual(stream.Spec, previous.Spec) {
		return
	}
	stream.Generation++
	s.followSpec(ctx, stream, previous)
}

// complete fills in what clients leave out of spec.tags, so that leaving it out is no change.
func complete(stream, previous *imagev1.ImageStream) {
	for i := range stream.Spec.Tags {
		t := &stream.Spec.Tags[i]
		if t.ImportPolicy.ImportMode == "" {
			t.ImportPolicy.ImportMode = imagev1.ImportModeLegacy
		}
		if t.ReferencePolicy.Type == "" {
			t.ReferencePolicy.Type = imagev1.SourceTagReferencePolicy
		}
		if old := specTag(previous, t.Name); old != nil && sameSource(*old, *t) {
			t.Generation = old.Generation
		}
	}
}

func (s *streamStrategy) followSpec(ctx context.Context, stream, previous *imagev1.ImageStream) {
	s.hosts.locate(stream)
	resolver{hosts: s.hosts, now: metav1.NewTime(s.now().Truncate(time.Second)), other: s.lookup(ctx)}.resolve(stream, previous)
}

func (s *streamStrategy) lookup(ctx context.Context) otherStreams {
	return func(namespace, name string) *imagev1.ImageStream {
		obj, err := s.streams.Get(genericapirequest.WithNamespace(ctx, namespace), name, &metav1.GetOptions{})
		if err != nil {
			// The tag stays unresolved, as it does for a source that does not exist.
			return nil
		}
		return obj.(*imagev1.ImageStream)
	}
}

// Validate refuses names, tags and sources that the real server refuses.
func (s *streamStrategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	stream := obj.(*imagev1.ImageStream)
	return slices.Concat(validateName(stream.ObjectMeta), validateTags(stream), s.checkSources(ctx, stream, nil))
}

// ValidateUpdate refuses tags and sources that the real server refuses.
func (s *streamStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	stream := obj.(*imagev1.ImageStream)
	return append(validateTags(stream), s.checkSources(ctx, stream, old.(*imagev1.ImageStream))...)
}

func validateTags(stream *imagev1.ImageStream) field.ErrorList {
	var errs field.ErrorList
	for i, t := range stream.Spec.Tags {
		if t.Name == "" {
			errs = append(errs, field.Required(field.NewPath("spec", "tags").Index(i).Child("name"), ""))
		}
	}
	for i, t := range stream.Status.Tags {
		if t.Tag == "" {
			errs = append(errs, field.Required(field.NewPath("status", "tags").Index(i).Child("tag"), ""))
		}
	}
	return errs
}

// streamStatusStrategy is what happens to an ImageStream written through its status.
type streamStatusStrategy struct{ *streamStrategy }

// PrepareForUpdate lets nothing through but the status.
func (s streamStatusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	stream, previous := obj.(*imagev1.ImageStream), old.(*imagev1.ImageStream)
	stream.Spec = *previous.Spec.DeepCopy()
	stream.Generation = previous.Generation
	stream.Labels = previous.Labels
	stream.Annotations = previous.Annotations
	s.hosts.locate(stream)
}

// streamStore is the storage of imagestreams.
type streamStore struct{ *genericregistry.Store }

// ShortNames lets kubectl say "is".
func (streamStore) ShortNames() []string { return []string{"is"} }

// streamStatusStore is the storage of imagestreams/status.
type streamStatusStore struct{ store *genericregistry.Store }

func (s streamStatusStore) New() runtime.Object { return &imagev1.ImageStream{} }
func (s streamStatusStore) Destroy()            {} // the stream's own store does it

func (s streamStatusStore) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, o)
}

func (s streamStatusStore) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo,
	create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, create, update, false, o)
}

// namespaceTakes refuses what the API server would refuse if it held the streams itself.
func namespaceTakes(ctx context.Context, kube kubernetes.Interface, stream *imagev1.ImageStream) error {
	namespace, err := kube.CoreV1().Namespaces().Get(ctx, stream.Namespace, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if namespace.DeletionTimestamp != nil {
		return apierrors.NewForbidden(imagev1.Resource("imagestreams"), stream.Name,
			fmt.Errorf("namespace %q is being deleted", stream.Namespace))
	}
	return nil
}

func newStreams(typer runtime.ObjectTyper, hosts Hosts, now func() time.Time, kube kubernetes.Interface, options generic.RESTOptionsGetter) (streamStore, streamStatusStore, error) {
	strategy := &streamStrategy{ObjectTyper: typer, NameGenerator: names.SimpleNameGenerator, hosts: hosts, now: now, reviews: kube.AuthorizationV1().SubjectAccessReviews()}
	resource := imagev1.Resource("imagestreams")
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &imagev1.ImageStream{} },
		NewListFunc:               func() runtime.Object { return &imagev1.ImageStreamList{} },
		DefaultQualifiedResource:  resource,
		SingularQualifiedResource: imagev1.Resource("imagestream"),
		CreateStrategy:            strategy,
		UpdateStrategy:            strategy,
		DeleteStrategy:            strategy,
		// A delete answers and reports the last state, tags included.
		ReturnDeletedObject: true,
		TableConvertor:      streamTable{},
		BeginCreate: func(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
			return func(context.Context, bool) {}, namespaceTakes(ctx, kube, obj.(*imagev1.ImageStream))
		},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: options}); err != nil {
		return streamStore{}, streamStatusStore{}, err
	}
	strategy.streams = store
	status := *store
	status.UpdateStrategy = streamStatusStrategy{strategy}
	return streamStore{store}, streamStatusStore{&status}, nil
}
