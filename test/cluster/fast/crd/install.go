package crd

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	poll    = 50 * time.Millisecond
	timeout = 30 * time.Second
)

// Install creates or updates the definitions and returns when their resources can be used.
func Install(ctx context.Context, config *rest.Config, crds ...*apiextensionsv1.CustomResourceDefinition) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	config = rest.CopyConfig(config)
	config.QPS = -1 // the number of requests is bounded by this function
	client, err := clientset.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client of custom resource definitions: %w", err)
	}
	for _, crd := range crds {
		if err := put(ctx, client, crd); err != nil {
			return fmt.Errorf("installing custom resource definition %q: %w", crd.Name, err)
		}
	}
	for _, crd := range crds {
		if err := wait(ctx, client, crd); err != nil {
			return err
		}
	}
	return nil
}

func put(ctx context.Context, client clientset.Interface, crd *apiextensionsv1.CustomResourceDefinition) error {
	crds := client.ApiextensionsV1().CustomResourceDefinitions()
	_, err := crds.Create(ctx, crd, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	current, err := crds.Get(ctx, crd.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	current.Spec = crd.Spec
	_, err = crds.Update(ctx, current, metav1.UpdateOptions{})
	return err
}

func wait(ctx context.Context, client clientset.Interface, crd *apiextensionsv1.CustomResourceDefinition) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		last := usable(ctx, client, crd)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("custom resource definition %q cannot be used: %w", crd.Name, last)
		case <-tick.C:
		}
	}
}

// usable lists each version: the condition alone comes a moment before the resource is served.
func usable(ctx context.Context, client clientset.Interface, crd *apiextensionsv1.CustomResourceDefinition) error {
	current, err := client.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, crd.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := established(current); err != nil {
		return err
	}
	for _, v := range crd.Spec.Versions {
		if !v.Served {
			continue
		}
		path := "/apis/" + crd.Spec.Group + "/" + v.Name + "/" + crd.Spec.Names.Plural
		if err := client.Discovery().RESTClient().Get().AbsPath(path).Param("limit", "1").Do(ctx).Error(); err != nil {
			return fmt.Errorf("listing %s: %w", path, err)
		}
	}
	return nil
}

func established(crd *apiextensionsv1.CustomResourceDefinition) error {
	for _, c := range crd.Status.Conditions {
		switch {
		case c.Type == apiextensionsv1.NamesAccepted && c.Status == apiextensionsv1.ConditionFalse:
			return fmt.Errorf("its names are not accepted: %s", c.Message)
		case c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue:
			return nil
		}
	}
	return errors.New("it is not established yet")
}
