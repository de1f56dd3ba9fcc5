package tekton

import (
	"context"
	"fmt"
	"slices"

	triggersv1alpha1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// InterceptorName is the ClusterInterceptor by which a listener lets requests of Revet's
	// controller pass, and no others. The manifests of the pipeline have it.
	InterceptorName = "revet"
	// InterceptorService is the Service in Revet's own namespace that answers for it.
	InterceptorService = "interceptor"
)

// interceptorCure is how a listener comes to ask Revet's interceptor.
const interceptorCure = "give it interceptors: [{ref: {kind: ClusterInterceptor, name: " + InterceptorName + "}}], as triggers/700-eventlistener.yaml has"

// ownInterceptor finds what keeps Revet's own interceptor from answering for the triggers that
// name it.
func (c *Checker) ownInterceptor(ctx context.Context, probes []probe) ([]Finding, error) {
	named := slices.IndexFunc(probes, func(p probe) bool { return p.authenticated })
	if named < 0 {
		return nil, nil
	}
	var object triggersv1alpha1.ClusterInterceptor
	err := c.client.Get(ctx, types.NamespacedName{Name: InterceptorName}, &object)
	switch {
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		return []Finding{{Reason: InterceptorNotFound, Refuses: true, Message: fmt.Sprintf(
			"%s names ClusterInterceptor %q, which does not exist, so that the listener drops every request after it answered 202; kubectl apply the one in triggers/700-eventlistener.yaml",
			probes[named].name, InterceptorName)}}, nil
	case apierrors.IsForbidden(err):
		return []Finding{{Reason: InterceptorsNotChecked, Message: fmt.Sprintf(
			"Revet may not read ClusterInterceptor %q, and so cannot know what it lets pass; kubectl apply the roles in config/", InterceptorName)}}, nil
	case err != nil:
		return nil, fmt.Errorf("reading ClusterInterceptor %q: %w", InterceptorName, err)
	}
	at := object.Spec.ClientConfig.Service
	if object.Spec.ClientConfig.URL != nil || at == nil || at.Namespace != c.system || at.Name != InterceptorService {
		return []Finding{{Reason: InterceptorsNotChecked, Message: fmt.Sprintf(
			"ClusterInterceptor %q does not lead to Service %q in namespace %q, so that Revet cannot know what it lets pass; kubectl apply the one in triggers/700-eventlistener.yaml, with Revet's namespace",
			InterceptorName, InterceptorService, c.system)}}, nil
	}
	return nil, nil
}

// notAuthenticated is a warning: an installation whose listener is older goes on.
func notAuthenticated(trigger string) Finding {
	return Finding{Reason: RequestsNotAuthenticated, Message: fmt.Sprintf(
		"%s takes requests from every Pod that reaches it, which can have runs started of what it names; %s", trigger, interceptorCure)}
}
