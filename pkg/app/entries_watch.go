package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// entriesWatch watches ImageVerifications and decodes each in one pass over its bytes. The usual
// decoder makes six, to tell any kind from any other: with a ledger of 40,000 entries that is most of
// what a start takes, as a watch begins with what a list would return. Lists are the embedded one's.
type entriesWatch struct {
	toolscache.ListerWatcherWithContext
	rest rest.Interface
}

const entriesResource = "imageverifications"

// entriesClient returns what requests ImageVerifications.
func entriesClient(api *apiAccess) (rest.Interface, error) {
	c, err := apiutil.RESTClientForGVK(v1alpha1.GroupVersion.WithKind("ImageVerification"), true, false, api.config, serializer.NewCodecFactory(api.scheme), api.http)
	if err != nil {
		return nil, fmt.Errorf("watching ImageVerifications: %w", err)
	}
	return c, nil
}

// WatchWithContext implements toolscache.WatcherWithContext.
func (w entriesWatch) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	body, err := w.rest.Get().Resource(entriesResource).VersionedParams(&o, metav1.ParameterCodec).Stream(ctx)
	if err != nil {
		return nil, err
	}
	return watch.NewStreamWatcher(&entryDecoder{body: body, json: json.NewDecoder(body)},
		apierrors.NewClientErrorReporter(http.StatusInternalServerError, http.MethodGet, "ClientWatchDecoding")), nil
}

// List implements toolscache.Lister.
func (w entriesWatch) List(o metav1.ListOptions) (runtime.Object, error) {
	return w.ListWithContext(context.Background(), o)
}

// Watch implements toolscache.Watcher.
func (w entriesWatch) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return w.WatchWithContext(context.Background(), o)
}

// entryDecoder decodes the events of a watch of ImageVerifications.
type entryDecoder struct {
	body io.ReadCloser
	json *json.Decoder
}

// entryEvent is an event of a watch. If it tells of an error, the object is a metav1.Status, whose
// field status is a string.
type entryEvent struct {
	Type   watch.EventType `json:"type"`
	Object struct {
		v1alpha1.ImageVerification `json:",inline"`

		Message string              `json:"message"`
		Reason  metav1.StatusReason `json:"reason"`
		Code    int32               `json:"code"`
	} `json:"object"`
}

// Decode implements watch.Decoder.
func (d *entryDecoder) Decode() (watch.EventType, runtime.Object, error) {
	event := &entryEvent{}
	err := d.json.Decode(event)
	var mistyped *json.UnmarshalTypeError
	if err != nil && (event.Type != watch.Error || !errors.As(err, &mistyped)) {
		return "", nil, err
	}
	switch event.Type {
	case watch.Added, watch.Modified, watch.Deleted, watch.Bookmark:
		entry := &event.Object.ImageVerification
		entry.TypeMeta = metav1.TypeMeta{} // as the usual decoder leaves it
		return event.Type, entry, nil
	case watch.Error:
		o := &event.Object
		return event.Type, &metav1.Status{Status: metav1.StatusFailure, Message: o.Message, Reason: o.Reason, Code: o.Code}, nil
	default:
		return "", nil, fmt.Errorf("the event type %q is not known", event.Type)
	}
}

// Close implements watch.Decoder.
func (d *entryDecoder) Close() { _ = d.body.Close() }
