//go:build linux

package rig

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/kube"
)

// RevetManifests are the files of config/ that install Revet but for its Pods and what is about them.
var RevetManifests = []string{"000-*.yaml", "100-*.yaml", "200-*.yaml", "400-*.yaml", "500-*.yaml"}

// NewClient knows the kinds that Revet does, and those of RBAC. It has no rate limit.
func NewClient(config *rest.Config) (client.WithWatch, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	if err := rbacv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// WriteKubeconfig writes a client's configuration as a file.
func WriteKubeconfig(file string, config *rest.Config) error {
	k := clientcmdapi.NewConfig()
	k.Clusters["it"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	k.AuthInfos["it"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	k.Contexts["it"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "it"}
	k.CurrentContext = "it"
	return clientcmd.WriteToFile(*k, file)
}

// Apply creates the objects of the files that match a pattern, in a namespace where they name none.
func Apply(ctx context.Context, c client.Client, namespace, pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("nothing matches %s: %w", pattern, errors.Join(err, os.ErrNotExist))
	}
	for _, file := range files {
		if err := applyFile(ctx, c, namespace, file); err != nil {
			return err
		}
	}
	return nil
}

func applyFile(ctx context.Context, c client.Client, namespace, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		var object unstructured.Unstructured
		if err := documents.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := create(ctx, c, namespace, &object); err != nil {
			return fmt.Errorf("creating the %s of %s: %w", object.GetKind(), file, err)
		}
	}
}

func create(ctx context.Context, c client.Client, namespace string, object *unstructured.Unstructured) error {
	namespaced, err := c.IsObjectNamespaced(object)
	if err != nil {
		return err
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
	if err := leavePending(object); err != nil {
		return err
	}
	if err := c.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// leavePending makes the PipelineRuns of a TriggerTemplate wait forever, should a Tekton controller be there.
func leavePending(object *unstructured.Unstructured) error {
	if object.GetKind() != "TriggerTemplate" {
		return nil
	}
	templates, _, err := unstructured.NestedSlice(object.Object, "spec", "resourcetemplates")
	if err != nil {
		return err
	}
	for _, t := range templates {
		run, _ := t.(map[string]any)
		if err := unstructured.SetNestedField(run, "PipelineRunPending", "spec", "status"); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(object.Object, templates, "spec", "resourcetemplates")
}

// AnswerAt has listeners ask an address about requests of Revet: it is written into the ClusterInterceptor of triggers/ as
// Tekton's controller would write that of its Service.
func AnswerAt(ctx context.Context, c client.Client, address string) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "triggers.tekton.dev/v1alpha1", "kind": "ClusterInterceptor", "metadata": map[string]any{"name": "revet"},
	}}
	if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return err
	}
	if err := unstructured.SetNestedField(object.Object, "http://"+address, "status", "address", "url"); err != nil {
		return err
	}
	return c.Status().Update(ctx, object)
}

// Interceptor is the object that every sink insists on. Nobody serves it and nobody calls it.
func Interceptor(authority []byte) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "triggers.tekton.dev/v1alpha1", "kind": "ClusterInterceptor",
		"metadata": map[string]any{"name": "cel", "labels": map[string]any{"server/type": "https"}},
		"spec": map[string]any{"clientConfig": map[string]any{
			"url": "https://127.0.0.1:1/cel", "caBundle": base64.StdEncoding.EncodeToString(authority),
		}},
	}}
}
