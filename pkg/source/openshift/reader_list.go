package openshift

import (
	"bytes"
	"context"
	"fmt"

	imagev1 "github.com/openshift/api/image/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/kube"
)

const (
	// pageSize bounds what one page of a list costs: about 4 MB of streams with
	// thirty items each.
	pageSize = 500
	// maxRestarts bounds how often an expired list is begun again.
	maxRestarts = 5
	// pageBytes is how large a page of streams may be. After a larger one, pages ask
	// for fewer streams.
	pageBytes    = 8 << 20
	smallestPage = 20
)

// EachStream calls each for the ImageStreams of a namespace, or of all namespaces if it
// is empty. It reads page by page and holds one page at a time. A list that expires
// begins again, so each may see a stream more than once. ErrNoStreams means that the
// cluster does not serve ImageStreams.
func (r *Reader) EachStream(ctx context.Context, namespace string, each func(*StreamState)) error {
	read := r.typedPage
	if r.raw != nil {
		var page bytes.Buffer // of all pages: each is several megabytes
		read = func(ctx context.Context, namespace string, limit int64, next string, each func(*StreamState)) (string, int, error) {
			return r.rawPage(ctx, &page, namespace, limit, next, each)
		}
	}
	limit := r.pageSize
	err := eachPage(func(next string) (more string, err error) {
		size := 0
		err = kube.EachPage(ctx, limit, func(ctx context.Context, fewer int64, _ string) (string, error) {
			limit = fewer
			more, size, err = read(ctx, namespace, limit, next, each)
			return "", err // it is one page
		})
		if size > pageBytes {
			limit = min(limit, max(smallestPage, limit/2))
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
func (r *Reader) rawPage(ctx context.Context, page *bytes.Buffer, namespace string, limit int64, next string, each func(*StreamState)) (more string, size int, err error) {
	body, err := r.raw.Get().Resource("imagestreams").NamespaceIfScoped(namespace, namespace != "").
		VersionedParams(&metav1.ListOptions{Limit: limit, Continue: next}, metav1.ParameterCodec).Stream(ctx)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = body.Close() }()
	page.Reset()
	if _, err := page.ReadFrom(body); err != nil {
		return "", 0, err
	}
	more, err = DecodeList(page.Bytes(), each)
	return more, page.Len(), err
}

func (r *Reader) typedPage(ctx context.Context, namespace string, limit int64, next string, each func(*StreamState)) (more string, size int, err error) {
	var page imagev1.ImageStreamList
	if err := r.client.List(ctx, &page, client.InNamespace(namespace), client.Limit(limit), client.Continue(next)); err != nil {
		return "", 0, err
	}
	for i := range page.Items {
		each(stateOf(&page.Items[i]))
	}
	return page.Continue, 0, nil
}

// Namespaces returns the labels of each namespace.
func (r *Reader) Namespaces(ctx context.Context) (map[string]map[string]string, error) {
	labels := map[string]map[string]string{}
	err := eachPage(func(next string) (string, error) {
		page := &metav1.PartialObjectMetadataList{}
		page.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
		if err := r.client.List(ctx, page, client.Limit(r.pageSize), client.Continue(next)); err != nil {
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

// eachPage calls read for each page of a list: read takes the token that continues the
// list, and returns the next one, "" at the end. A list whose token expired begins again.
func eachPage(read func(next string) (string, error)) error {
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
