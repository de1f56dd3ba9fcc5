package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	fieldManager   = "revet-upstream"
	appliesAtOnce  = 8
	attemptPause   = 200 * time.Millisecond
	applyPatience  = 30 * time.Second
	servedPatience = 30 * time.Second
)

// applier puts manifests into a cluster.
type applier struct {
	client dynamic.Interface
}

// apply applies the manifests, stage after stage, each stage in parallel.
func (a applier) apply(ctx context.Context, manifests []manifest) error {
	for _, s := range []stage{definitions, settings, workloads} {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(appliesAtOnce)
		for _, m := range manifests {
			if m.stage == s {
				group.Go(func() error { return a.applyOne(groupCtx, m) })
			}
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if s == definitions {
			if err := a.waitServed(ctx, manifests); err != nil {
				return err
			}
		}
	}
	return nil
}

// applyOne applies m with server-side apply, so that what the controllers write themselves (certificates, rules of
// webhooks) stays when an installation is repeated. It tries again where the cause can pass.
func (a applier) applyOne(ctx context.Context, m manifest) error {
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	return retry(ctx, applyPatience, fmt.Sprintf("applying %s", m), func(ctx context.Context) (bool, error) {
		_, err := m.client(a.client).Apply(ctx, m.object.GetName(), m.object, options)
		return mayPass(err), err
	})
}

// mayPass tells whether the same request can succeed later: a webhook that does not answer yet is an internal error.
func mayPass(err error) bool {
	return apierrors.IsInternalError(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsConflict(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsNotFound(err)
}

// waitServed returns when the API server answers for every CRD among the manifests.
func (a applier) waitServed(ctx context.Context, manifests []manifest) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(appliesAtOnce)
	for _, m := range manifests {
		if m.object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		served, err := servedResource(m.object)
		if err != nil {
			return fmt.Errorf("upstream: reading %s: %w", m, err)
		}
		group.Go(func() error {
			return retry(ctx, servedPatience, fmt.Sprintf("waiting for the API server to serve %s", served.GroupResource()), func(ctx context.Context) (bool, error) {
				_, err := a.client.Resource(served).List(ctx, metav1.ListOptions{Limit: 1})
				return mayPass(err), err
			})
		})
	}
	return group.Wait()
}

// servedResource returns a version that the CRD serves. They all appear at once.
func servedResource(crd *unstructured.Unstructured) (schema.GroupVersionResource, error) {
	group, _, groupErr := unstructured.NestedString(crd.Object, "spec", "group")
	plural, _, pluralErr := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	versions, _, versionsErr := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err := errors.Join(groupErr, pluralErr, versionsErr); err != nil {
		return schema.GroupVersionResource{}, err
	}
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if served, _ := version["served"].(bool); served {
			name, _ := version["name"].(string)
			return schema.GroupVersionResource{Group: group, Version: name, Resource: plural}, nil
		}
	}
	return schema.GroupVersionResource{}, errors.New("it serves no version")
}

// retry calls try until it succeeds, fails for good, or patience ends; the error says what was attempted.
func retry(ctx context.Context, patience time.Duration, what string, try func(context.Context) (again bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		again, err := try(ctx)
		if err == nil {
			return nil
		}
		// When time is up, the reason is the failure before, not the client's own "deadline exceeded".
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !again {
			return fmt.Errorf("upstream: %s: %w", what, last)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("upstream: %s: gave up: %w", what, last)
		case <-time.After(attemptPause):
		}
	}
}
