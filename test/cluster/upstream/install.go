package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Install installs the profile and returns when it can be used.
func Install(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if err := o.validate(); err != nil {
		return err
	}
	start := time.Now()
	bundles, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	manifests, err := publish(ctx, o.Registry, bundles)
	if err != nil {
		return err
	}
	published := time.Now()

	// The clients' own limit of requests would be most of the time it takes.
	config := rest.CopyConfig(o.RESTConfig)
	config.QPS = -1
	// Upstream's CRDs serve deprecated versions, of which the API server would warn at each of them.
	config.WarningHandler = rest.NoWarnings{}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("upstream: making a client: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("upstream: making a client: %w", err)
	}
	if err := (applier{client: dynamicClient}).apply(ctx, manifests); err != nil {
		return err
	}
	applied := time.Now()
	o.Log("upstream: applied %d objects in %s (images in %s)", len(manifests), round(applied.Sub(published)), round(published.Sub(start)))

	if err := waitReady(ctx, o, dynamicClient, client, bundles, manifests); err != nil {
		return err
	}
	o.Log("upstream: ready after %s", round(time.Since(start)))
	return nil
}

func waitReady(ctx context.Context, o Options, d dynamic.Interface, k kubernetes.Interface, bundles []bundle, manifests []manifest) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	webhooks := make(chan error, 1)
	go func() { webhooks <- waitWebhooks(ctx, d, bundles, o.Timeout) }()
	// Neither error cancels the other wait: together they tell more, and both waits end with the timeout.
	err := waitAvailable(ctx, k, manifests, o.Log)
	return errors.Join(err, <-webhooks)
}

// publish pushes the bundles' images and returns the objects that name them.
func publish(ctx context.Context, registry string, bundles []bundle) ([]manifest, error) {
	base, err := PushBase(ctx, registry)
	if err != nil {
		return nil, err
	}
	all, err := glue()
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		refs, err := b.push(ctx, registry, base)
		if err != nil {
			return nil, err
		}
		files, err := b.manifests()
		if err != nil {
			return nil, err
		}
		manifests, err := b.component.load(files, refs)
		if err != nil {
			return nil, err
		}
		all = append(all, manifests...)
	}
	return all, nil
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
