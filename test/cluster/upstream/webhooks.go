package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// probe is an object that a component's webhook completes. Before the webhook has configured itself the API server
// accepts the object as it is, so only the completed field proves that the webhook serves.
type probe struct {
	gvr       schema.GroupVersionResource
	kind      string
	spec      map[string]any
	completed []string
}

// probeNamespace always exists.
const probeNamespace = "default"

func (c component) probe() (probe, error) {
	switch c.name {
	case eventing().name:
		return probe{
			gvr:       schema.GroupVersionResource{Group: "eventing.knative.dev", Version: "v1", Resource: "brokers"},
			kind:      "Broker",
			spec:      map[string]any{},
			completed: []string{"spec", "config", "name"},
		}, nil
	case broker().name:
		return probe{
			gvr:       schema.GroupVersionResource{Group: "messaging.knative.dev", Version: "v1", Resource: "inmemorychannels"},
			kind:      "InMemoryChannel",
			spec:      map[string]any{},
			completed: []string{"metadata", "annotations", "messaging.knative.dev/subscribable"},
		}, nil
	case pipelines().name:
		return probe{
			gvr:       schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"},
			kind:      "PipelineRun",
			spec:      map[string]any{"pipelineRef": map[string]any{"name": "probe"}},
			completed: []string{"spec", "timeouts", "pipeline"},
		}, nil
	case triggers().name:
		return probe{
			gvr:  schema.GroupVersionResource{Group: "triggers.tekton.dev", Version: "v1beta1", Resource: "eventlisteners"},
			kind: "EventListener",
			spec: map[string]any{"triggers": []any{map[string]any{
				"bindings": []any{map[string]any{"ref": "probe"}},
				"template": map[string]any{"ref": "probe"},
			}}},
			completed: []string{"spec", "serviceAccountName"},
		}, nil
	default:
		return probe{}, fmt.Errorf("upstream: component %q has no probe of its webhook", c.name)
	}
}

// waitWebhooks returns when the webhooks of all components serve, and interceptors can be reached over TLS.
func waitWebhooks(ctx context.Context, client dynamic.Interface, bundles []bundle, patience time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range bundles {
		p, err := b.component.probe()
		if err != nil {
			return err
		}
		group.Go(func() error {
			return retry(ctx, patience, "waiting for the webhook of "+b.component.name, func(ctx context.Context) (bool, error) {
				return true, p.try(ctx, client)
			})
		})
		if b.component.name == triggers().name {
			group.Go(func() error {
				return retry(ctx, patience, "waiting for the certificate of the interceptors", func(ctx context.Context) (bool, error) {
					return true, interceptorsTrusted(ctx, client)
				})
			})
		}
	}
	return group.Wait()
}

func (p probe) try(ctx context.Context, client dynamic.Interface) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "revet-probe", "namespace": probeNamespace},
		"spec":     p.spec,
	}}
	object.SetGroupVersionKind(p.gvr.GroupVersion().WithKind(p.kind))
	answer, err := client.Resource(p.gvr).Namespace(probeNamespace).
		Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	if value, _, err := unstructured.NestedString(answer.Object, p.completed...); err != nil || value == "" {
		return fmt.Errorf("the webhook has not set %s of a %s", strings.Join(p.completed, "."), p.kind)
	}
	return nil
}

// interceptorsTrusted checks what an EventListener's Pod dies without: the CA of the interceptors' certificate. Those
// without the label, such as Revet's, have none.
func interceptorsTrusted(ctx context.Context, client dynamic.Interface) error {
	gvr := schema.GroupVersionResource{Group: "triggers.tekton.dev", Version: "v1alpha1", Resource: "clusterinterceptors"}
	list, err := client.Resource(gvr).List(ctx, metav1.ListOptions{LabelSelector: "server/type=https"})
	if err != nil {
		return err
	}
	if len(list.Items) == 0 {
		return errors.New("there is no ClusterInterceptor that serves TLS")
	}
	for _, i := range list.Items {
		if ca, _, err := unstructured.NestedString(i.Object, "spec", "clientConfig", "caBundle"); err != nil || ca == "" {
			return fmt.Errorf("ClusterInterceptor %q has no caBundle yet", i.GetName())
		}
	}
	return nil
}
