//go:build linux

package tenants

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

const (
	// sweepInterval is between two sweeps of a trigger, and noSweeps keeps sweeps out of what
	// is measured.
	sweepInterval = 5 * time.Second
	noSweeps      = time.Hour
	// sweepPatience is how long a sweep may take to come.
	sweepPatience = 45 * time.Second
	// measuredSweeps is how many times between sweeps are measured.
	measuredSweeps = 3

	pageSize  = 100
	pageDelay = 200 * time.Millisecond
)

// serve serves until the bed is stopped, and returns the address.
func (b *bed) serve(ctx context.Context, handler http.Handler) (host string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // ends with the bed
	b.later(func() { _ = server.Close() })
	return l.Addr().String(), nil
}

// endless is a registry whose lists have another page for ever.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return
	}
	select {
	case <-time.After(pageDelay):
	case <-r.Context().Done():
		return
	}
	first := 0
	_, _ = fmt.Sscanf(r.URL.Query().Get("last"), "r%d", &first) // the first page has none
	var all []string
	for n := range pageSize {
		all = append(all, fmt.Sprintf("%q", fmt.Sprintf("r%09d", first+n+1)))
	}
	kind, list := "repositories", strings.Join(all, ",")
	if strings.HasSuffix(r.URL.Path, "/tags/list") {
		kind = "tags"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Link", fmt.Sprintf(`<%s?last=r%09d&n=%d>; rel="next"`, r.URL.Path, first+pageSize, pageSize))
	_, _ = fmt.Fprintf(w, `{"name":"app","%s":[%s]}`, kind, list)
}

// listRegistries lets namespaces use registries.
func (b *bed) listRegistries(ctx context.Context, hosts map[string][]string) error {
	var config corev1.ConfigMap
	if err := b.admin.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: "config-registries"}, &config); err != nil {
		return err
	}
	lines, n := "", 0
	for host, namespaces := range hosts {
		lines += fmt.Sprintf("- {name: registry-%d, host: %q, insecure: true, namespaces: [%s]}\n", n, host, strings.Join(namespaces, ", "))
		n++
	}
	config.Data = map[string]string{"registries.yaml": lines}
	return b.admin.Update(ctx, &config)
}

// sweptRegistry makes a registry with a few tags, and a trigger of the victim's that sweeps it.
// Endless is a second one, which hostile namespaces may use.
func (v *victim) sweptRegistry(ctx context.Context) (t *v1alpha1.ImageTrigger, err error) {
	host, err := v.serve(ctx, registry.New())
	if err != nil {
		return nil, err
	}
	if v.endless, err = v.serve(ctx, http.HandlerFunc(endless)); err != nil {
		return nil, err
	}
	repository, err := name.NewRepository(host+"/team/app", name.Insecure)
	if err != nil {
		return nil, err
	}
	for n := range 3 {
		image, err := random.Image(64, 1)
		if err != nil {
			return nil, err
		}
		if err := remote.Write(repository.Tag(fmt.Sprintf("v%d", n)), image, remote.WithContext(ctx)); err != nil {
			return nil, err
		}
	}
	if err := v.listRegistries(ctx, map[string][]string{host: {victimNamespace}, v.endless: hostiles(4)}); err != nil {
		return nil, err
	}
	t = trigger(victimNamespace, "registry")
	t.Spec.Images = []v1alpha1.ImageSelector{{Repository: repository.Name()}}
	if err := v.create(ctx, t); err != nil {
		return nil, err
	}
	return t, v.awaitReady(ctx, t)
}

// swept returns the times between sweeps of a trigger that were complete.
func (v *victim) swept(ctx context.Context, t *v1alpha1.ImageTrigger) (all times, err error) {
	next := func() (time.Time, error) {
		last := t.Status.LastSweep
		err := rig.Await(ctx, poll, sweepPatience, "a sweep of the victim's registry", func() error {
			if err := v.admin.Get(ctx, client.ObjectKeyFromObject(t), t); err != nil {
				return err
			}
			if s := t.Status.LastSweep; s == nil || (last != nil && !s.FinishedAt.After(last.FinishedAt.Time)) {
				return fmt.Errorf("the last is %+v", s)
			}
			return nil
		})
		return time.Now(), err
	}
	began, err := next()
	for range measuredSweeps {
		ended, missed := time.Now(), err
		if missed == nil {
			ended, missed = next()
		}
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if missed != nil {
			all.Missed++
			return all, nil //nolint:nilerr // that none came in time is the figure
		}
		all.add(ended.Sub(began))
		began = ended
	}
	return all, nil
}

// hostiles are the names of so many hostile namespaces.
func hostiles(number int) (all []string) {
	for n := range number {
		all = append(all, fmt.Sprintf("%s-%d", hostileNamespace, n))
	}
	return all
}

// endlessLists are five triggers in each of so many namespaces.
func endlessLists(namespaces int) func(context.Context, *bed) error {
	return func(ctx context.Context, b *bed) error {
		for _, namespace := range hostiles(namespaces) {
			if err := b.team(ctx, namespace); err != nil {
				return err
			}
			for n := range 5 {
				t := trigger(namespace, fmt.Sprintf("endless-%d", n))
				t.Spec.Images = []v1alpha1.ImageSelector{{Repository: b.endless + "/**"}}
				if err := b.create(ctx, t); err != nil {
					return err
				}
			}
		}
		<-time.After(2 * sweepInterval) // so that all have begun
		return nil
	}
}
