package sweep

import (
	"context"
	"fmt"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

const (
	// pageSize bounds what one page of a list costs: about 4 MB of streams with
	// thirty items each.
	pageSize = 500
	// maxRestarts bounds how often a list that the server no longer continues is
	// begun again.
	maxRestarts = 5
	// pageBytes is what a page of streams may weigh: streams with long histories
	// are asked for in smaller pages after the first one that does.
	pageBytes    = 8 << 20
	smallestPage = 20
)

// Live is the Cluster over a client that does not cache.
type Live struct {
	client client.Client
	rights *source.Rights
	// raw reads lists of streams as the API server sends them; nil reads them with
	// the client, which costs several times as much.
	raw      rest.Interface
	pageSize int64
}

var (
	_ Cluster = (*Live)(nil)
	_ Images  = (*Live)(nil)
)

// NewLive returns a Live.
func NewLive(c client.Client) *Live { return NewLiveRaw(c, nil) }

// NewLiveRaw returns a Live that lists ImageStreams with a client of their API's
// group. It should have connections of its own: a page must not stand in the way
// of anything else.
func NewLiveRaw(c client.Client, streams rest.Interface) *Live {
	return &Live{client: c, rights: source.NewRights(c, 0, time.Now), raw: streams, pageSize: pageSize}
}

// EachStream lists page by page and keeps one page at a time.
func (l *Live) EachStream(ctx context.Context, namespace string, each func(*StreamState)) error {
	read := l.typedPage
	if l.raw != nil {
		read = l.rawPage
	}
	limit := l.pageSize
	err := restarting(func(next string) (string, error) {
		more, size, err := read(ctx, namespace, limit, next, each)
		if size > pageBytes {
			limit = max(smallestPage, limit/2)
		}
		return more, err
	})
	switch {
	case err == nil:
		return nil
	case meta.IsNoMatchError(err) || apierrors.IsNotFound(err):
		return ErrNoStreams
	default:
		return fmt.Errorf("listing ImageStreams: %w", err)
	}
}

// rawPage reads a page without making objects of it.
func (l *Live) rawPage(ctx context.Context, namespace string, limit int64, next string, each func(*StreamState)) (more string, size int, err error) {
	answer := l.raw.Get().Resource("imagestreams").NamespaceIfScoped(namespace, namespace != "").
		VersionedParams(&metav1.ListOptions{Limit: limit, Continue: next}, metav1.ParameterCodec).Do(ctx)
	if err := answer.Error(); err != nil {
		return "", 0, err
	}
	page, err := answer.Raw()
	if err != nil {
		return "", 0, err
	}
	more, err = openshift.DecodeList(page, func(s openshift.Listed) {
		each(&StreamState{Namespace: s.Namespace, Name: s.Name, Labels: s.Labels, Stream: s.Stream})
	})
	return more, len(page), err
}

func (l *Live) typedPage(ctx context.Context, namespace string, limit int64, next string, each func(*StreamState)) (more string, size int, err error) {
	var page imagev1.ImageStreamList
	if err := l.client.List(ctx, &page, client.InNamespace(namespace), client.Limit(limit), client.Continue(next)); err != nil {
		return "", 0, err
	}
	for i := range page.Items {
		is := &page.Items[i]
		each(&StreamState{Namespace: is.Namespace, Name: is.Name, Labels: is.Labels, Stream: openshift.Stream(is)})
	}
	return page.Continue, 0, nil
}

// Namespaces reads the labels only.
func (l *Live) Namespaces(ctx context.Context) (map[string]map[string]string, error) {
	labels := map[string]map[string]string{}
	err := restarting(func(next string) (string, error) {
		page := &metav1.PartialObjectMetadataList{}
		page.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
		if err := l.client.List(ctx, page, client.Limit(l.pageSize), client.Continue(next)); err != nil {
			return "", err
		}
		for _, n := range page.Items {
			labels[n.Name] = n.Labels
		}
		return page.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	return labels, nil
}

// restarting reads a list page by page: read returns what continues it, "" at the
// end. It begins again where the state that the list began with was compacted away.
func restarting(read func(next string) (string, error)) error {
	next := ""
	for restarts := 0; ; {
		more, err := read(next)
		if next != "" && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) && restarts < maxRestarts {
			next = ""
			restarts++
			continue
		}
		if err != nil {
			return err
		}
		if next = more; next == "" {
			return nil
		}
	}
}

// ShowsImage implements Images.
func (l *Live) ShowsImage(ctx context.Context, d image.Digest) (bool, error) {
	img, err := l.image(ctx, d.String())
	return err == nil && img != nil && openshift.Runs(img), err
}

// image returns nil if there is no such Image.
func (l *Live) image(ctx context.Context, digest string) (*imagev1.Image, error) {
	var img imagev1.Image
	err := l.client.Get(ctx, client.ObjectKey{Name: digest}, &img)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	default:
		return &img, nil
	}
}

// MayGet asks the API server whether the account may get an ImageStream.
func (l *Live) MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	return l.rights.Allowed(ctx, account, authorizationv1.ResourceAttributes{
		Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Namespace: namespace, Name: name,
	})
}
