package sweep

import (
	"context"
	"fmt"

	imagev1 "github.com/openshift/api/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/source/apiserver"
)

const (
	// pageSize bounds what one page of a list costs: about 4 MB of streams with
	// thirty items each.
	pageSize = 500
	// maxRestarts bounds how often a list that the server no longer continues is
	// begun again.
	maxRestarts = 5
)

// Live is the Cluster over a client that does not cache.
type Live struct {
	client   client.Client
	pageSize int64
}

var _ Cluster = (*Live)(nil)

// NewLive returns a Live.
func NewLive(c client.Client) *Live { return &Live{client: c, pageSize: pageSize} }

// EachStream lists page by page and keeps one page at a time.
func (l *Live) EachStream(ctx context.Context, namespace string, each func(*StreamState)) error {
	err := l.pages(ctx, &imagev1.ImageStreamList{}, namespace, func(list client.ObjectList) {
		items := list.(*imagev1.ImageStreamList).Items
		for i := range items {
			is := &items[i]
			each(&StreamState{Namespace: is.Namespace, Name: is.Name, Labels: is.Labels, Stream: apiserver.Stream(is)})
		}
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

// Namespaces reads the labels only.
func (l *Live) Namespaces(ctx context.Context) (map[string]map[string]string, error) {
	labels := map[string]map[string]string{}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	err := l.pages(ctx, list, "", func(page client.ObjectList) {
		for _, n := range page.(*metav1.PartialObjectMetadataList).Items {
			labels[n.Name] = n.Labels
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	return labels, nil
}

// pages calls each with every page of a list. The empty list gives its type.
func (l *Live) pages(ctx context.Context, empty client.ObjectList, namespace string, each func(client.ObjectList)) error {
	next := ""
	for restarts := 0; ; {
		page := empty.DeepCopyObject().(client.ObjectList)
		err := l.client.List(ctx, page, client.InNamespace(namespace), client.Limit(l.pageSize), client.Continue(next))
		if next != "" && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) && restarts < maxRestarts {
			// The state that the list began with was compacted away.
			next = ""
			restarts++
			continue
		}
		if err != nil {
			return err
		}
		each(page)
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
}

// MayGet asks with a SubjectAccessReview, with the groups that the account's
// tokens carry.
func (l *Live) MayGet(ctx context.Context, account Account, namespace, name string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + account.Namespace + ":" + account.Name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Namespace: namespace, Name: name,
		},
	}}
	if err := l.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking whether service account %q of namespace %q may get ImageStreams of namespace %q: %w",
			account.Name, account.Namespace, namespace, err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
