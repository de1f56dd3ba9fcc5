//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
	"github.com/revet-dev/revet/test/cluster/registry"
)

const (
	oddName  = "odd"
	oddToken = "the-token-of-the-odd-registry"
	// oddEach is how long the registry stays odd in one way.
	oddEach = time.Second
	// oddSource makes the seed's choice of oddities its own.
	oddSource = 0x0dd
)

// oddities are the ways in which real registries differ. Every one of them has been seen.
var oddities = []registrytest.Oddities{
	{},
	{Head: http.StatusMethodNotAllowed},
	{Head: http.StatusNotFound},
	{NoDigest: true},
	{Type: "text/plain"},
	{Type: "application/json", Head: http.StatusMethodNotAllowed},
	{Type: "none"},
	{Page: 1},
	{Page: 2, Link: registrytest.Absolute},
	{Cut: 2},
	{Cut: 3, Type: "text/plain", Page: 2},
}

// hook sends the registry's notifications to the receivers.
func (r role) hook() registry.Endpoint {
	return registry.Endpoint{
		Name: oddName, URL: "http://" + r.Hooks + "/registries/" + oddName,
		Headers: http.Header{"Authorization": {"Bearer " + oddToken}},
	}
}

// serveOdd serves the registry with an oddity that changes, until the context ends.
func (r role) serveOdd(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.Odd)
	if err != nil {
		return fmt.Errorf("listening for the odd registry: %w", err)
	}
	odd := registrytest.New(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Address}), oddities[0])
	server := &http.Server{Handler: odd, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with the context
	go func() {
		random := rand.New(rand.NewPCG(r.Seed, oddSource)) //nolint:gosec // it has to be repeatable
		for sleep(ctx, oddEach) {
			odd.Set(oddities[random.IntN(len(oddities))])
		}
		_ = server.Close()
	}()
	return nil
}

// installOdd lets Revet read the odd registry and makes the ImageTrigger that verifies it.
func (w *world) installOdd(ctx context.Context) error {
	if w.odd == "" {
		return nil
	}
	var config corev1.ConfigMap
	if err := w.admin.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: "config-registries"}, &config); err != nil {
		return err
	}
	config.Data = map[string]string{"registries.yaml": fmt.Sprintf("- {name: %s, host: %q, insecure: true, namespaces: [%s]}", oddName, w.odd, vetting)}
	if err := w.admin.Update(ctx, &config); err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "registry-webhooks"}, StringData: map[string]string{oddName: oddToken},
	}
	if err := w.admin.Create(ctx, secret); err != nil {
		return err
	}
	return w.admin.Create(ctx, &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: vetting, Name: oddName},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:        []v1alpha1.ImageSelector{{Repository: w.odd + "/**"}},
			Sink:          v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: scanAndValidate}},
			Sandbox:       v1alpha1.Sandbox{RuntimeClassName: runtimeClass},
			Existing:      v1alpha1.ExistingVerify, // a push before the first sweep counts too
			MaxConcurrent: concurrency,
		},
	})
}

// oddHeads are the newest acknowledged pushes of each tag, as the odd registry shows them.
func (w *world) oddHeads(pushed []acknowledged) (heads []acknowledged) {
	if w.odd == "" {
		return nil
	}
	newest := map[string]acknowledged{}
	for _, p := range pushed {
		newest[p.Repository+":"+p.Tag] = acknowledged{w.odd + "/" + p.Repository, p.Tag, p.Digest}
	}
	for _, p := range newest {
		if !strings.HasSuffix(p.Repository, "/"+probeStream) {
			heads = append(heads, p)
		}
	}
	return heads
}
